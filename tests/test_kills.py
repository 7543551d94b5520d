"""A short form of the campaign in benchmarks/kills.py: runs that are struck leave nothing partial, and heal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("it has none of these signals", allow_module_level=True)

from kills import Ground, Lane, Life, Strike, problems, stage_of

pytestmark = pytest.mark.xdist_group("kills")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Ground(tmp_path_factory.mktemp("kills"), scale=0.03, fetch_seconds=0.3) as ground:
        yield ground


@pytest.fixture(scope="module")
def lane(ground: Ground) -> Iterator[Lane]:
    with ground.lane() as lane:
        yield lane


LIVES = {
    "killed again and again": Life((
        Strike("SIGKILL", "fetch", 0.3, by_clock=True), Strike("SIGKILL", "extract", 0.3, by_clock=True),
        Strike("SIGKILL", "build", 0.3, by_clock=True),
    )),
    "killed while the archive is removed": Life((Strike("SIGKILL", "extract", "download.zip"),)),
    "killed while a stamp is written": Life((Strike("SIGKILL", "build", ".stamps/"),), has_raw=True),
    "killed with worker processes": Life((Strike("SIGKILL", "build", 0.3, workers=2),), has_raw=True),
    "told to end, again and again": Life((
        Strike("SIGTERM", "fetch", 0.7), Strike("SIGTERM", "extract", 0.5), Strike("SIGTERM", "build", 0.2),
    )),
    "told to end while an older build is replaced": Life((Strike("SIGTERM", "build", 0.5),), older=True, has_raw=True),
    "interrupted at the keyboard": Life((
        Strike("SIGINT", "extract", 0.3, by_clock=True, group=True),
        Strike("SIGINT", "build", 0.3, group=True, workers=2),
    )),
}  # fmt: skip
FULL_DISKS = {
    "a disk too small from the start": Life((Strike("ENOSPC", "start", 0.1),)),
    "a disk that fills up": Life((
        Strike("ENOSPC", "extract", 0.3, room=5000), Strike("ENOSPC", "build", 0.1, room=5000),
    )),
}  # fmt: skip


@pytest.mark.parametrize("life", [pytest.param(life, id=name) for name, life in (LIVES | FULL_DISKS).items()])
def test_what_is_struck_leaves_nothing_partial_and_the_next_run_heals(life: Life, lane: Lane) -> None:
    if life in FULL_DISKS.values() and not lane.can_fill:
        pytest.skip("no disk can be filled here")
    outcomes = lane.live(life)
    assert [str(outcome) for outcome in outcomes if outcome.wrong] == []
    assert all(outcome.healed for outcome in outcomes)
    assert all(outcome.stage for outcome in outcomes if not outcome.strike.by_clock)
    if life == LIVES["told to end, again and again"]:
        assert [outcome.stage for outcome in outcomes] == ["fetch", "extract", "build"]


def test_eight_processes_at_once_give_one_result_where_file_locks_do_not_work(ground: Ground, tmp_path: Path) -> None:
    assert ground.crowd(tmp_path, 8) == []


def test_a_raw_root_that_appears_during_a_download_is_never_replaced(ground: Ground, tmp_path: Path) -> None:
    (work := tmp_path / "disk").mkdir()
    run = ground.start(work)
    while run.poll() is None and stage_of(work, run.pid) != "fetch":
        time.sleep(0.005)
    own = work / "raw" / "emodb"
    shutil.copytree(ground.raw_root, own)
    (own / ".emoset-download.json").unlink()
    before = {path: path.stat().st_ino for path in own.rglob("*")}
    assert run.wait(60) == 0, (tmp_path / "said").read_text()
    assert {path: path.stat().st_ino for path in own.rglob("*")} == before
    assert problems(work) == []
