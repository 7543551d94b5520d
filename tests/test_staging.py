"""Staged names: what is unfinished is never taken for finished, and only what is left behind is removed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emoset import staging
from emoset.staging import is_staged, put_in_place, remove_leftovers, staged, write_whole


def _dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_staged_path_lies_beside_its_target_and_goes_away(tmp_path: Path) -> None:
    with staged(tmp_path / "new" / "data.csv") as path:
        assert path.parent == tmp_path / "new"
        assert is_staged(path.name)
        path.write_text("half")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_goes_away_whatever_happens(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), staged(tmp_path / "data") as path:
        (path / "below").mkdir(parents=True)
        (path / "below" / "file").write_text("x")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_only_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    with staged(tmp_path / "mine") as mine:
        mine.mkdir()
        dead = tmp_path / mine.name.replace(f".{os.getpid()}.", f".{_dead_process()}.")
        dead.mkdir()
        (dead / "train-00000.arrow").write_bytes(b"half")
        living = tmp_path / mine.name.replace(f".{os.getpid()}.", f".{os.getppid()}.")
        living.write_text("another process is at work")
        machine = mine.name.split(".")[2]
        elsewhere = tmp_path / dead.name.replace(machine, "0" * 8)
        elsewhere.write_text("another machine is at work")
        forgotten = tmp_path / dead.name.replace(machine, "1" * 8)
        forgotten.write_text("another machine was at work")
        os.utime(forgotten, (time.time() - 10 * 24 * 3600,) * 2)
        (tmp_path / "emodb").mkdir()
        assert sorted(remove_leftovers(tmp_path)) == sorted([dead, forgotten])
        assert sorted(tmp_path.iterdir()) == sorted([mine, living, elsewhere, tmp_path / "emodb"])


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path: Path) -> None:
    assert remove_leftovers(tmp_path / "nothing") == []


def test_a_finished_folder_replaces_what_stands_there(tmp_path: Path) -> None:
    for content in ("first", "second"):
        with staged(tmp_path / "emodb") as folder:
            folder.mkdir()
            (folder / "file").write_text(content)
            put_in_place(folder, tmp_path / "emodb")
        assert (tmp_path / "emodb" / "file").read_text() == content
        assert [p.name for p in tmp_path.iterdir()] == ["emodb"]


def test_many_can_replace_the_same_folder_at_once(tmp_path: Path) -> None:
    def replace(number: int) -> None:
        with staged(tmp_path / "emodb") as folder:
            folder.mkdir()
            for name in ("a", "b"):
                (folder / name).write_text(str(number))
            put_in_place(folder, tmp_path / "emodb")

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(replace, range(64)))
    assert [p.name for p in tmp_path.iterdir()] == ["emodb"]
    assert len({p.read_text() for p in (tmp_path / "emodb").iterdir()}) == 1


def test_a_folder_never_replaces_a_file(tmp_path: Path) -> None:
    (tmp_path / "emodb").write_text("precious")
    with pytest.raises(NotADirectoryError), staged(tmp_path / "emodb") as folder:
        folder.mkdir()
        put_in_place(folder, tmp_path / "emodb")
    assert (tmp_path / "emodb").read_text() == "precious"


def test_an_error_of_the_disk_is_told_and_not_retried_for_ever(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staged(tmp_path / "emodb") as folder:
        put_in_place(folder, tmp_path / "emodb")  # nothing was written


def test_a_small_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = write_whole(tmp_path / "README.md", b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["README.md"]


def test_files_have_the_permissions_that_the_user_s_mask_gives(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert write_whole(tmp_path / "shared", b"x").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)
