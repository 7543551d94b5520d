"""All pairs of corpora of the book, on twins: any two concatenate, and load as one."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

import emoset
from emoset.audio import pcm_samples
from emoset.registry import COLLECTIONS, known_names
from emoset.schema import LABEL_COLUMNS
from emoset.shards import read_shard

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*SYNTHETIC:UserWarning"),
    pytest.mark.xdist_group("all corpora"),  # their twins are made once
]

NAMES = known_names()


def make(name: str, raw: Path, out: Path) -> None:
    [root] = emoset.twin(name, raw / name, scale=0.0005, seed=1, progress=False)
    emoset.build(name, {name: root}, out, workers=1, progress=False)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest twins of all corpora and variants, built: 20 MB."""
    raw, out = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("book")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for made in [pool.submit(make, name, raw, out) for name in NAMES]:
            made.result()
    return out


@pytest.fixture(scope="module")
def alone(book: Path) -> dict[str, Any]:
    """Every corpus, all splits as one, its labels as strings: the form in which any two concatenate."""
    return {name: emoset.load_dataset(name, "all", data_dir=book, labels=None) for name in NAMES}


@pytest.mark.parametrize("first", NAMES)
def test_it_concatenates_with_every_other(first: str, alone: dict[str, Any]) -> None:
    for second in NAMES[NAMES.index(first) :]:  # in this order, and with itself
        a, b = alone[first], alone[second]
        both = datasets.concatenate_datasets([a, b])
        assert both.features == a.features
        assert len(both) == len(a) + len(b)
        for one, row in ((a[-1], both[len(a) - 1]), (b[0], both[len(a)])):
            assert row["id"] == one["id"]
            assert row["audio"]["path"] == one["audio"]["path"]
            assert np.array_equal(row["audio"]["array"], one["audio"]["array"])


@pytest.mark.parametrize("labels", LABEL_COLUMNS)
def test_pairs_load_as_one_with_the_classes_of_both(labels: str, book: Path) -> None:
    values = {}
    for name in NAMES:
        tables = [read_shard(path) for path in sorted((book / name).glob("*.arrow"))]
        values[name] = {row["id"]: row[labels] for t in tables for row in t.select(["id", labels]).to_pylist()}
    step = 1 + LABEL_COLUMNS.index(labels)  # every corpus is in two pairs, in others for each label column
    for first, second in zip(NAMES, NAMES[step:] + NAMES[:step], strict=True):
        both = emoset.load_dataset([first, second], "all", data_dir=book, labels=labels)
        expected = {**values[first], **values[second]}
        feature = both.features[labels]
        assert feature.names == sorted({v for v in expected.values() if v is not None})
        found = {i: None if v is None else feature.int2str(v) for i, v in zip(both["id"], both[labels], strict=True)}
        assert found == expected
        assert both.features["audio"].decode


@pytest.mark.parametrize("collection", sorted(COLLECTIONS))
def test_a_collection_loads_as_one(collection: str, book: Path) -> None:
    names = COLLECTIONS[collection]
    splits = emoset.load_dataset(collection, data_dir=book)
    stored = {}
    for name in names:
        for path in (book / name).glob("*.arrow"):
            stored |= {row["id"]: row for row in read_shard(path).select(["id", "audio", "label"]).to_pylist()}
    assert sum(len(rows) for rows in splits.values()) == len(stored)
    seen = set()
    for rows in splits.values():
        assert rows.features["label"].names == sorted({row["label"] for row in stored.values()})
        for row in rows:
            assert rows.features["label"].int2str(row["label"]) == stored[row["id"]]["label"]
            samples = pcm_samples(stored[row["id"]]["audio"]["bytes"])
            assert np.array_equal(row["audio"]["array"], samples / np.float32(32768))
            seen.add(row["corpus"])
    assert seen == set(names)
    women = emoset.load_dataset(collection, "all", data_dir=book, gender="female", kind="acted")
    assert set(women["gender"]) == {"female"}
    assert set(women["kind"]) == {"acted"}
