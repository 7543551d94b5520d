"""What a model is given of a corpus: labelled rows to learn from, and a test set without its labels."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emoset.errors import BenchmarkError
from emoset.schema import SPLITS
from emoset.shards import default_data_dir

if TYPE_CHECKING:
    from datasets import Dataset

HIDDEN: Final = (
    "label",
    "label_raw",
    "emotion",
    "arousal",
    "valence",
    "activation",
    "pleasure",
    "dominance",
    "extra",
)
"""Columns that tell the label, or may: test sets come without them, with row numbers for ids and no paths."""


@dataclass(frozen=True)
class Task:
    """One corpus as the benchmark uses it: what the model sees, and the truth about the test set.

    ``reference`` holds class indexes; ``ids``, ``reference`` and ``speakers`` have one entry per
    row of ``test``. ``left_out`` counts the rows without a label per split; ``unlabelled``
    names those of the test set.
    """

    corpus: str
    classes: tuple[str, ...]
    train: Dataset
    validation: Dataset
    test: Dataset
    ids: tuple[str, ...]
    reference: tuple[int, ...]
    speakers: tuple[str | None, ...]
    counts: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, int]
    unlabelled: frozenset[str]
    manifest: Mapping[str, Any]
    shared_speakers: int


def load_task(corpus: str, data_dir: str | Path | None, labels: str) -> Task:
    """Load a built corpus for the benchmark, its label column under the name ``label``.

    Args:
        corpus: name of a built configuration.
        data_dir: folder of the builds; None for the loader's own default.
        labels: the column that holds the task's classes.

    Returns:
        The task; rows without a label are left out and counted.

    Raises:
        BenchmarkError: a split that is missing or has no labelled rows, or classes that differ.
    """
    from emoset.loading import load_dataset

    with warnings.catch_warnings():
        # Of partial and synthetic builds, which the results note.
        warnings.simplefilter("ignore", UserWarning)
        splits = load_dataset(corpus, data_dir=data_dir, labels=labels)
    missing = [name for name in SPLITS if name not in splits]
    if missing:
        raise BenchmarkError(
            f"no {' and no '.join(missing)} split",
            where=corpus,
            expected=", ".join(SPLITS),
            cure="leave the corpus out, or build a copy that has all three",
        )
    classes = _classes(corpus, splits, labels)
    shown: dict[str, Dataset] = {}
    counts, left_out, kept = {}, {}, {}
    values: dict[str, list[int | None]] = {}
    for name in SPLITS:
        rows = _named_label(splits[name], labels)
        values[name] = [None if v is None or v < 0 else v for v in _column(rows, "label")]
        kept[name] = [i for i, v in enumerate(values[name]) if v is not None]
        if not kept[name] and name != "validation":
            raise BenchmarkError(
                f"no row of the {name} split has a value in {labels!r}",
                where=corpus,
                expected="at least one",
                cure="choose another label column, or leave the corpus out",
            )
        left_out[name] = len(values[name]) - len(kept[name])
        found = Counter(v for v in values[name] if v is not None)
        counts[name] = {label: found[i] for i, label in enumerate(classes)}
        shown[name] = _hide(rows, kept[name]) if name == "test" else _select(rows, kept[name])
    ids, speakers = _column(splits["test"], "id"), _column(splits["test"], "speaker")
    reference = [values["test"][i] for i in kept["test"]]
    others = {s for name in ("train", "validation") for s in _column(shown[name], "speaker")}
    tested = tuple(speakers[i] for i in kept["test"])
    return Task(
        corpus=corpus,
        classes=classes,
        train=shown["train"],
        validation=shown["validation"],
        test=shown["test"],
        ids=tuple(ids[i] for i in kept["test"]),
        reference=tuple(v for v in reference if v is not None),
        speakers=tested,
        counts=counts,
        left_out=left_out,
        unlabelled=frozenset(i for i, v in zip(ids, values["test"], strict=True) if v is None),
        manifest=_manifest(corpus, data_dir),
        shared_speakers=len((others & set(tested)) - {None}),
    )


def _classes(corpus: str, splits: Mapping[str, Dataset], labels: str) -> tuple[str, ...]:
    found = {name: tuple(getattr(splits[name].features.get(labels), "names", ())) for name in SPLITS}
    if not found["test"]:
        raise BenchmarkError(
            f"column {labels!r} has no classes", where=corpus, expected="a ClassLabel", cure="build it again"
        )
    for name in SPLITS:
        if found[name] != found["test"]:
            raise BenchmarkError(
                f"classes {', '.join(found[name])} in {name}",
                where=corpus,
                expected=f"those of test: {', '.join(found['test'])}",
                cure="build it again",
            )
    return found["test"]


def _named_label(rows: Dataset, labels: str) -> Dataset:
    if labels == "label":
        return rows
    others = [name for name in rows.column_names if name != "label"]
    return rows.select_columns(others).rename_column(labels, "label")


def _column(rows: Dataset, name: str) -> list[Any]:
    if name not in rows.column_names:
        return [None] * len(rows)
    # Through Arrow, so that a row's audio is not decoded for the sake of its label.
    values: list[Any] = rows.select_columns([name]).with_format("arrow")[:][name].to_pylist()
    return values


def _select(rows: Dataset, kept: Sequence[int]) -> Dataset:
    return rows if len(kept) == len(rows) else rows.select(kept)


def _hide(rows: Dataset, kept: Sequence[int]) -> Dataset:
    """A test set that shows no labels by accident: ids and file names often spell them."""
    numbers = {row: str(place) for place, row in enumerate(kept)}
    hidden = rows.remove_columns([c for c in (*HIDDEN, "id") if c in rows.column_names])
    # Before the selection, as a column cannot be added to selected rows without copying their audio.
    hidden = _select(hidden.add_column("id", [numbers.get(row, "") for row in range(len(rows))]), kept)
    inner = hidden.format["format_kwargs"].get("transform") if hidden.format["type"] == "custom" else None
    return hidden.with_transform(partial(_without_paths, inner=inner))


def _without_paths(
    batch: dict[str, list[Any]], inner: Callable[[dict[str, list[Any]]], dict[str, list[Any]]] | None
) -> dict[str, list[Any]]:
    batch = inner(batch) if inner else batch
    if "audio" not in batch:
        return batch
    return {**batch, "audio": [{**a, "path": None} if isinstance(a, dict) else a for a in batch["audio"]]}


def _manifest(corpus: str, data_dir: str | Path | None) -> dict[str, Any]:
    """What the build says about itself; nothing where the rows do not come from a build's folder."""
    path = Path(data_dir if data_dir is not None else default_data_dir()) / corpus / "manifest.json"
    if path.is_file():
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            got, expected = f"not JSON ({error})", "a build's manifest"
            raise BenchmarkError(got, where=str(path), expected=expected, cure="build it again") from error
        return manifest if isinstance(manifest, dict) else {}
    return {}
