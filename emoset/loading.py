"""Loading: built corpora as ordinary ``datasets`` objects."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from datasets.table import InMemoryTable, concat_tables

from emoset.decoding import StoredAudio
from emoset.errors import NotBuiltError, unknown_name
from emoset.opening import Built, expand, find, place_of
from emoset.registry import get_recipe
from emoset.schema import COLUMNS, LABEL_COLUMNS, SAMPLING_RATE, hub_features
from emoset.selecting import ALL, check_present, filters_of, in_order, kept, nothing_left, ranges
from emoset.summary import remarks

_STREAMS: Final = 16
"""Parts of a stream at least, so that the workers of a ``DataLoader`` all have some."""


def load_dataset(
    name: str | Sequence[str],
    split: str | Sequence[str] | None = None,
    *,
    data_dir: str | Path | None = None,
    labels: str | None = "label",
    language: str | Sequence[str] | None = None,
    gender: str | Sequence[str] | None = None,
    kind: str | Sequence[str] | None = None,
    speaker: str | Sequence[str] | None = None,
    decode: bool = True,
    streaming: bool = False,
    version: str | None = None,
) -> Any:
    """Load a built corpus, or several as one.

    Args:
        name: corpus or variant, such as ``emodb`` or ``iemocap-full``; a collection, such as ``emoset26``; or several
            of these. The rows of several follow one another; ``corpus`` tells them apart.
        split: ``train``, ``validation``, ``test``, or ``all`` for everything; slices and sums, such as
            ``train[:10%]`` or ``train+test``; a list of these for a list of datasets; None for all splits by name.
        data_dir: data folder, or a repository of the Hub: ``hf://datasets/<namespace>/<name>`` or
            ``<namespace>/<name>``; default: ``$EMOSET_HOME``, else the user's cache.
        labels: column that becomes a ``ClassLabel`` with its classes in alphabetical order: ``label``,
            ``emotion``, ``arousal``, ``valence`` or ``label_raw``. The classes are those of all splits of all corpora
            that are loaded, whatever is selected of them. None leaves all of them strings.
        language: keep rows with this value, or with one of these.
        gender: likewise.
        kind: likewise.
        speaker: likewise, such as ``emodb:03``.
        decode: False to get the stored bytes in place of arrays.
        streaming: True for an ``IterableDataset``, in parts that workers share.
        version: of the recipe that must have been built.

    Returns:
        A ``datasets.Dataset`` for one split, else a ``datasets.DatasetDict`` or a list. A row's ``audio`` reads as
        ``{"array": float32 of shape (n,), "sampling_rate": 16000, "path": str}``.

    Raises:
        UnknownNameError: there is no such corpus, split, label column, language, gender, kind or speaker.
        NotBuiltError: a corpus is not built in that folder, or in another version.
        DataFolderError: a file there is missing, damaged, not what was built, or of a newer format.
        EmosetError: the slice or the filters leave nothing, or the Hub cannot be used.

    Example:
        >>> ds = load_dataset("emodb", data_dir=data)
        >>> ds["train"].features["label"].names[:2], ds["train"][0]["audio"]["sampling_rate"]
        (['anger', 'boredom'], 16000)
        >>> both = load_dataset(["emodb", "urdu"], "train", data_dir=data, labels="arousal", gender="female")
        >>> sorted(set(both["corpus"])), both.features["arousal"].names
        (['emodb', 'urdu'], ['high', 'low'])
    """
    if labels is not None and labels not in LABEL_COLUMNS:
        raise unknown_name("label column", labels, LABEL_COLUMNS)
    filters = filters_of(language=language, gender=gender, kind=kind, speaker=speaker)
    names = expand(name)
    found = find(names, place_of(data_dir, names))
    if version is not None:
        _check_version(found, version)
    told = [(corpus.name, remarks({**corpus.manifest, "speaker_independent": True})) for corpus in found]
    for remark in dict.fromkeys(remark for _, remark in told if remark):
        warnings.warn(f"{', '.join(n for n, r in told if r == remark)}: {remark}", stacklevel=2)
    rows = _Rows(found, labels, filters, decode, streaming)
    if split is None:
        return rows.by_name()
    if isinstance(split, str | datasets.NamedSplit | datasets.ReadInstruction):
        return rows.of(str(split))
    return [rows.of(str(each)) for each in split]


def load_folds(
    name: str, protocol: str, *, data_dir: str | Path | None = None, labels: str = "label", decode: bool = True
) -> Iterator[tuple[str, Any, Any]]:
    """The folds of a corpus's cross-validation, one held-out value after the other.

    Args:
        name: corpus or variant.
        protocol: named by the recipe's ``folds``, such as ``leave-one-speaker-out`` or ``sessions``.
        data_dir: as for `load_dataset`.
        labels: likewise.
        decode: likewise.

    Yields:
        The value held out (a speaker, a session), the rows of all others, and its own rows.

    Raises:
        UnknownNameError: the corpus has no such protocol.

    Example:
        >>> folds = load_folds("emodb", "leave-one-speaker-out", data_dir=data)
        >>> speaker, train, test = next(folds)
        >>> speaker, set(test["speaker"]) & set(train["speaker"])
        ('emodb:03', set())
    """
    folds = get_recipe(name).folds
    if protocol not in folds:
        raise unknown_name("protocol", protocol, folds, f"see 'emoset show {name}'")
    rows = load_dataset(name, ALL, data_dir=data_dir, labels=labels, decode=decode)
    plain = rows.select_columns(["speaker", "extra"]).with_format("arrow")[:].to_pylist()
    values = [_field(row, folds[protocol]) for row in plain]
    for held_out in sorted(set(values)):
        inside = [i for i, value in enumerate(values) if value == held_out]
        outside = [i for i, value in enumerate(values) if value != held_out]
        yield held_out, rows.select(outside), rows.select(inside)


def _field(row: dict[str, Any], field: str) -> str:
    value = row["speaker"] if field == "speaker" else json.loads(row["extra"] or "{}").get(field)
    return str(value)


def _slice(table: Any, start: int, end: int) -> Any:
    return table if end - start == len(table) else table.slice(start, end - start)


def _check_version(found: Sequence[Built], version: str) -> None:
    for corpus in found:
        if (built := corpus.manifest["recipe_version"]) != version:
            raise NotBuiltError(
                f"{corpus.name} is built there in version {built}", where=str(corpus.place),
                expected=f"version {version}",
                cure=f"ask for version={built!r}, or install the emoset-speech whose recipe is {version} and run "
                f"'emoset build {corpus.name} --rebuild --raw FOLDER'",
            )  # fmt: skip


@dataclass(frozen=True)
class _Rows:
    """The rows of the corpora that were asked for, by split."""

    corpora: Sequence[Built]
    labels: str | None
    filters: Mapping[str, Sequence[str]]
    decode: bool
    streaming: bool

    @cached_property
    def tables(self) -> dict[str, Any]:
        """One table for each split, its label column as numbers of classes."""
        stored = [{split: corpus.table(split) for split in corpus.splits} for corpus in self.corpora]
        check_present(self.filters, (table for each in stored for table in each.values()))
        if self.labels is not None:
            found = {v for each in stored for t in each.values() for v in pc.unique(t[self.labels]).to_pylist()}
            self.features[self.labels] = datasets.ClassLabel(names=sorted(found - {None}))
        splits = in_order(split for each in stored for split in each)
        return {s: concat_tables([self._numbered(each[s]) for each in stored if s in each]) for s in splits}

    @cached_property
    def features(self) -> Any:
        features = datasets.Features.from_dict(hub_features())
        features["audio"] = StoredAudio(sampling_rate=SAMPLING_RATE, decode=self.decode)
        return features

    def _numbered(self, table: Any) -> Any:
        """Class numbers in place of the label column, beside memory maps of all others: no audio is copied."""
        if self.labels is None:
            return table
        names = pa.array(self.features[self.labels].names, pa.string())
        numbers = pc.index_in(table[self.labels], value_set=names).cast(pa.int64())
        order = list(COLUMNS)
        place = order.index(self.labels)
        column = InMemoryTable.from_arrays([numbers], names=[self.labels])
        return concat_tables([table.select(order[:place]), column, table.select(order[place + 1 :])], axis=1)

    @cached_property
    def info(self) -> Any:
        manifests = [corpus.manifest for corpus in self.corpora]
        about = [
            f"EmoSet (speech): {m['title']}, recipe {m['recipe_version']}. {remarks(m)}".strip() for m in manifests
        ]
        return datasets.DatasetInfo(
            description="\n".join(about),
            citation="\n\n".join(dict.fromkeys(m["citation"] for m in manifests)),
            license="; ".join(dict.fromkeys(m["licence"] for m in manifests)),
        )

    def by_name(self) -> Any:
        """All splits; those that the filters leave empty are left out, unless that is all of them."""
        counts = {split: len(kept(t, self.filters)) if self.filters else len(t) for split, t in self.tables.items()}
        empty = [split for split, count in counts.items() if not count]
        if len(empty) == len(counts):
            return self.of(ALL)  # which tells that nothing is left
        if empty:
            warnings.warn(f"no row of {', '.join(empty)} passes the filters: left out", stacklevel=3)
        kind = datasets.IterableDatasetDict if self.streaming else datasets.DatasetDict
        return kind({split: self.of(split) for split, count in counts.items() if count})

    def of(self, split: str) -> Any:
        """The rows of a split, of slices of it, or of several."""
        parts = ranges(split, {name: len(table) for name, table in self.tables.items()})
        whole = {**self.tables, ALL: None}
        if any(name == ALL for name, _, _ in parts):
            whole[ALL] = concat_tables(list(self.tables.values()))
        tables = [_slice(whole[name], start, end) for name, start, end in parts if start < end]
        table = concat_tables(tables) if tables else pa.table({})
        indices = kept(table, self.filters) if self.filters and tables else None
        if not len(table if indices is None else indices):
            raise nothing_left(split, ", ".join(corpus.name for corpus in self.corpora), self.filters, table)
        info = self.info.copy()
        info.features = self.features.copy()
        dataset = datasets.Dataset(
            table, info=info, fingerprint=self._fingerprint(split),
            split=datasets.NamedSplit(datasets.ReadInstruction.from_spec(split).to_spec()),
            indices_table=None if indices is None else InMemoryTable.from_arrays(
                [pa.array(indices, pa.uint64())], names=["indices"]),
        )  # fmt: skip
        if not self.streaming:
            return dataset
        files = len({file["filename"] for file in dataset.cache_files})
        return dataset.to_iterable_dataset(num_shards=min(max(files, _STREAMS), len(dataset)))

    def _fingerprint(self, split: str) -> str:
        """By which ``datasets`` knows its cache files of these rows again."""
        digests = [corpus.manifest.get("digest") for corpus in self.corpora]
        told = [digests, self.labels, dict(self.filters), self.decode, split]
        return sha256(json.dumps(told).encode()).hexdigest()[:16]
