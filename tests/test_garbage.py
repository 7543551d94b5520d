"""No parser crashes on garbage: damaged annotation files of every recipe give our errors, with the file's name."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

import emoset
from emoset.errors import EmosetError
from emoset.reading import TWIN_MARKER, read_raw
from emoset.recipe import Manifest, Reader, Recipe, Table
from emoset.registry import known_names
from emoset.twins import write_twin

TASKS = [
    task
    for task in map(emoset.get_recipe, known_names())
    if task.speaker_table or isinstance(task.ways[0], Table | Reader | Manifest)
]


def _garble(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with some changed, lost, repeated or put in."""
    garbled = bytearray(data)
    for _ in range(int(rng.integers(1, 12))):
        place = int(rng.integers(0, max(len(garbled), 1)))
        match int(rng.integers(5)):
            case 0:
                garbled[place : place + 1] = rng.bytes(1)
            case 1:
                del garbled[place : place + int(rng.integers(1, 30))]
            case 2:
                garbled[place:place] = garbled[place : place + 40]
            case 3:
                garbled[place:place] = bytes(rng.choice(list(b',;\t"\n\r\0 -.')) for _ in range(3))
            case _:
                garbled[place:place] = b"nan"
    return bytes(garbled)


@pytest.fixture(scope="module", params=TASKS, ids=lambda task: task.configuration)
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    task: Recipe = request.param
    return task, write_twin(task, tmp_path_factory.mktemp("garbage") / task.raw_name, 0.0001, 2, False)


def test_garbled_annotations_give_our_errors_only(twin: tuple[Recipe, Path], tmp_path: Path) -> None:
    task, root = twin
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    names = [n for n in read_raw(task, copy).annotations if n != TWIN_MARKER]
    assert names
    rng = np.random.default_rng(len(names))
    for turn in range(60):
        name = names[turn % len(names)]
        original = (copy / name).read_bytes()
        (copy / name).write_bytes(_garble(original, rng))
        with contextlib.suppress(EmosetError):  # any other error fails the test
            read_raw(task, copy)
        (copy / name).write_bytes(original)
