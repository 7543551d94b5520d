"""Fake corpora, held in memory, that the loader hands out in these tests."""

import types
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict

CLASSES = ("anger", "joy", "neutral")
TEXTS = ("id", "corpus", "label_raw", "emotion", "arousal", "speaker", "gender", "text", "extra")


def split_of(corpus: str, rows: list[dict[str, Any]], labels: str, classes: tuple[str, ...]) -> Dataset:
    """One split as the loader returns it: strings, a struct of audio, and a ClassLabel."""
    columns: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in (*TEXTS, "label")}
    columns["corpus"] = [corpus] * len(rows)
    columns["audio"] = [
        {"array": [float(row["n"] or 0), 0.5], "sampling_rate": 16000, "path": f"{row['id']}.wav"} for row in rows
    ]
    columns["activation"] = [1.0] * len(rows)
    return Dataset.from_dict(columns).cast_column(labels, ClassLabel(names=list(classes)))


def rows_of(corpus: str, speakers: str, per_class: int = 4) -> list[dict[str, Any]]:
    """Rows of every class for every speaker; the sample value tells the class, so that it can be learnt."""
    return [
        {
            "id": f"{corpus}/{speaker}-{name}-{take}",
            "label": name,
            "label_raw": name[0].upper(),
            "emotion": name,
            "arousal": "low" if name == "neutral" else "high",
            "speaker": f"{corpus}:{speaker}",
            "text": "Das will sie am Mittwoch abgeben.",
            "extra": "{}",
            "n": number,
        }
        for speaker in speakers
        for number, name in enumerate(CLASSES)
        for take in range(per_class)
    ]


def unchanged(split: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows


def corpus_of(
    corpus: str = "emodb",
    *,
    labels: str = "label",
    classes: tuple[str, ...] | None = None,
    change: Callable[[str, list[dict[str, Any]]], list[dict[str, Any]]] = unchanged,
    test_speakers: str = "ef",
) -> DatasetDict:
    """A corpus of six speakers and three classes; ``change`` alters the rows of a split."""
    classes = classes or (("high", "low") if labels == "arousal" else CLASSES)
    return DatasetDict(made(corpus, labels, classes, change, test_speakers))


@cache
def made(corpus: str, labels: str, classes: tuple[str, ...], change: Any, test_speakers: str) -> dict[str, Dataset]:
    speakers = {"train": "abc", "validation": "d", "test": test_speakers}
    rows = {split: change(split, rows_of(corpus, names)) for split, names in speakers.items()}
    return {split: split_of(corpus, rows[split], labels, classes) for split in speakers}


class Nearest:
    """Learns which sample value goes with which class: perfect on the fake corpora."""

    def fit(self, train: Dataset, validation: Dataset) -> None:
        self.known = {row["audio"]["array"][0]: row["label"] for row in train}

    def predict(self, test: Dataset) -> list[int]:
        return [self.known[row["audio"]["array"][0]] for row in test]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the loader hand out these corpora."""

    def serve(**corpora: DatasetDict) -> None:
        def load_dataset(name: str, split: Any = None, *, data_dir: Any = None, labels: str = "label") -> Any:
            return corpora[name]

        monkeypatch.setattr("emoset.loading.load_dataset", load_dataset)

    return serve


@pytest.fixture
def fakes() -> types.SimpleNamespace:
    """The makers of fake corpora, for tests to call."""
    return types.SimpleNamespace(corpus=corpus_of, Nearest=Nearest, classes=CLASSES, random=np.random.default_rng)
