"""Loading: built corpora as ordinary ``datasets`` objects."""

from __future__ import annotations

import json
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from emoset.decoding import StoredAudio
from emoset.errors import DataFolderError, NotBuiltError, UnknownNameError, unknown_name
from emoset.registry import get_recipe, known_names
from emoset.schema import LABEL_COLUMNS, SAMPLING_RATE
from emoset.shards import (
    MANIFEST,
    built_configurations,
    default_data_dir,
    read_manifest,
    shard_paths,
    split_names,
)
from emoset.summary import remarks


def load_dataset(
    name: str,
    split: str | None = None,
    *,
    data_dir: str | Path | None = None,
    labels: str = "label",
    decode: bool = True,
) -> Any:
    """Load a built corpus.

    Args:
        name: corpus or variant, such as ``emodb`` or ``iemocap-full``.
        split: ``train``, ``validation`` or ``test``; None for all of them.
        data_dir: data folder; default: ``$EMOSET_HOME``, else the user's cache.
        labels: column that becomes a ``ClassLabel`` with its classes in alphabetical order: ``label``,
            ``emotion``, ``arousal``, ``valence`` or ``label_raw``.
        decode: False to get the stored WAV bytes in place of arrays.

    Returns:
        A ``datasets.Dataset`` for one split, else a ``datasets.DatasetDict``. A row's ``audio`` reads as
        ``{"array": float32 of shape (n,), "sampling_rate": 16000, "path": str}``.

    Raises:
        UnknownNameError: there is no such corpus, split or label column.
        NotBuiltError: the corpus is not built in that folder.
        DataFolderError: a file there is damaged, or of a newer format.

    Example:
        >>> ds = load_dataset("emodb", data_dir=data)
        >>> ds["train"].features["label"].names[:2], ds["train"][0]["audio"]["sampling_rate"]
        (['anger', 'boredom'], 16000)
    """
    root = Path(data_dir) if data_dir is not None else default_data_dir()
    folder, manifest = _find(name, root)
    if labels not in LABEL_COLUMNS:
        raise unknown_name("label column", labels, LABEL_COLUMNS)
    splits = split_names(folder)
    if split is not None and split not in splits:
        raise unknown_name("split", split, splits)
    if remark := remarks({**manifest, "speaker_independent": True}):
        warnings.warn(f"{name}: {remark}", stacklevel=2)
    loaded = {s: _open(folder, s, manifest) for s in splits}
    classes = sorted({v for ds in loaded.values() for v in pc.unique(ds.data[labels]).to_pylist() if v is not None})
    wanted = {s: _ready(loaded[s], labels, classes, decode) for s in ([split] if split else splits)}
    return wanted[split] if split else datasets.DatasetDict(wanted)


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
    splits = load_dataset(name, data_dir=data_dir, labels=labels, decode=decode)
    rows = datasets.concatenate_datasets(list(splits.values()))
    plain = rows.select_columns(["speaker", "extra"]).with_format("arrow")[:].to_pylist()
    values = [_field(row, folds[protocol]) for row in plain]
    for held_out in sorted(set(values)):
        inside = [i for i, value in enumerate(values) if value == held_out]
        outside = [i for i, value in enumerate(values) if value != held_out]
        yield held_out, rows.select(outside), rows.select(inside)


def _field(row: dict[str, Any], field: str) -> str:
    value = row["speaker"] if field == "speaker" else json.loads(row["extra"] or "{}").get(field)
    return str(value)


def _find(name: str, root: Path) -> tuple[Path, dict[str, Any]]:
    folder = root / name
    if (folder / MANIFEST).is_file():
        return folder, read_manifest(folder)
    built = ", ".join(built_configurations(root)) or "nothing"
    try:
        get_recipe(name)
    except UnknownNameError:
        raise unknown_name("corpus", name, {*known_names(), *built_configurations(root)}, "see 'emoset list'") from None
    if folder.is_dir() and any(folder.glob("*.arrow")):
        raise DataFolderError(
            "there are shards without their manifest.json", where=str(folder), expected="a complete build",
            cure=f"run 'emoset build {name} --raw FOLDER --out {root}'",
        )  # fmt: skip
    raise NotBuiltError(
        f"{name} is not built there", where=str(root), expected=f"the folder {name}/ (built: {built})",
        cure=f"run 'emoset build {name} --raw FOLDER --out {root}'",
    )  # fmt: skip


def _open(folder: Path, split: str, manifest: dict[str, Any]) -> Any:
    """The shards of a split as one memory-mapped dataset."""
    parts = []
    info = datasets.DatasetInfo(
        description=f"EmoSet (speech): {manifest['title']}. {remarks(manifest)}".strip(),
        citation=manifest["citation"], license=manifest["licence"],
    )  # fmt: skip
    for path in shard_paths(folder, split):
        try:
            linked = _linked(path, str(manifest.get("digest")))
            parts.append(datasets.Dataset.from_file(str(linked), split=datasets.NamedSplit(split)))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataFolderError(
                f"the shard cannot be read ({str(error).splitlines()[0]})", where=str(path),
                expected="the file that was built", cure="run 'emoset verify', then build the corpus again",
            ) from None  # fmt: skip
    dataset = datasets.concatenate_datasets(parts)
    dataset.info.description, dataset.info.citation = info.description, info.citation
    dataset.info.license = info.license
    return dataset


def _linked(path: Path, digest: str) -> Path:
    """A link to a shard in the cache of ``datasets``.

    ``datasets`` puts the cache files of map, filter, shuffle and sort beside the file that a dataset was opened from.
    Opened through the link, they go to the cache, and nothing is ever written into a built folder.
    """
    target = path.resolve()
    key = sha256(f"{target}\n{digest}".encode()).hexdigest()[:20]
    for cache in (Path(datasets.config.HF_DATASETS_CACHE), Path(tempfile.gettempdir())):
        link = cache / "emoset" / f"{path.parent.name}-{key}" / path.name
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                new = link.with_name(f".{link.name}.{uuid.uuid4().hex}")
                new.symlink_to(target)
                new.replace(link)  # at once, whoever else does the same
            return link
        except OSError:
            continue
    return path


def _ready(dataset: Any, labels: str, classes: list[str], decode: bool) -> Any:
    """Give the label column its classes and the audio column its decoder, without rewriting audio."""
    order = dataset.column_names
    indexes = pc.index_in(dataset.data[labels].combine_chunks(), value_set=pa.array(classes, pa.string()))
    dataset = dataset.remove_columns(labels).add_column(
        labels, indexes.cast(pa.int64()).to_pylist(), feature=datasets.ClassLabel(names=classes)
    )
    dataset = dataset.select_columns(order)
    audio = StoredAudio(SAMPLING_RATE) if decode else datasets.Audio(SAMPLING_RATE, decode=False)
    return dataset.cast_column("audio", audio)
