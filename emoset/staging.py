"""Staging: everything is written under a name that no reader takes for the real one, then renamed.

A staged name tells which process of which machine it belongs to. What a killed process left is removed by the
next one that works in the same folder; what a living one writes is never touched. No file locks are used:
on many network file systems they do not work.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

_PREFIX: Final = ".emoset-part"
_NAME: Final = re.compile(
    rf"{re.escape(_PREFIX)}\.(?P<machine>[0-9a-f]{{8}})\.(?P<pid>\d+)\.[0-9a-f]{{32}}\.(?P<name>.+)"
)

_ATTEMPTS: Final = 100
"""Times that others may get in between while a folder is replaced."""

_FORGOTTEN: Final = 3 * 24 * 3600
"""Seconds without a change after which the work of another machine counts as left behind."""


def is_staged(name: str) -> bool:
    """Whether a file or folder of this name is work in progress, or what an interrupted run left.

    Example:
        >>> is_staged("emodb")
        False
    """
    return _NAME.fullmatch(name) is not None


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A path beside the target, not there yet, to write a file or folder to; whatever is left of it is removed.

    The folder of the target is made if needed.

    Args:
        target: what it will be renamed to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, staged(Path(folder) / "data.csv") as path:
        ...     _ = path.write_text("x")
        ...     _ = path.rename(Path(folder) / "data.csv")
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    path = _staged_name(target)
    try:
        yield path
    finally:
        _remove(path)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what processes that are no longer there left in a folder, not below it, and return it."""
    removed = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match and _is_left_behind(path, match["machine"], int(match["pid"])):
            _remove(path)
            removed.append(path)
    return removed


def put_in_place(staged_folder: Path, target: Path) -> None:
    """Give a finished folder its name; one that stands there is replaced, whoever else is doing the same."""
    sync_folder(staged_folder)
    replaced: list[Path] = []
    try:
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                staged_folder.rename(target)
                break
            except OSError:  # something stands there, or stood there a moment ago
                if not attempts_left or target.is_file():
                    raise
            replaced.append(_staged_name(target))
            with suppress(FileNotFoundError):
                target.rename(replaced[-1])
        sync_folder(target.parent)
    finally:
        for old in replaced:
            _remove(old)


def write_whole(path: Path, data: bytes) -> Path:
    """Write a small file so that it is there whole or not at all, and return its path."""
    with staged(path) as temporary:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    return path


def write_text(path: Path, text: str) -> None:
    """Write a small text file so that it is there whole or not at all."""
    write_whole(path, text.encode())


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to disk, where the system knows such a thing."""
    with suppress(OSError):  # some systems and network file systems cannot; then there is nothing to bring
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _staged_name(target: Path) -> Path:
    return target.with_name(f"{_PREFIX}.{_machine()}.{os.getpid()}.{uuid.uuid4().hex}.{target.name}")


@cache
def _machine() -> str:
    """What tells this machine, since it started, and this space of process ids from all others."""
    facts = [socket.gethostname()]
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    with suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:8]


def _is_left_behind(path: Path, machine: str, pid: int) -> bool:
    if machine == _machine():
        return pid != os.getpid() and not _is_alive(pid)
    try:
        newest = max(p.stat().st_mtime for p in (path, *path.rglob("*")))
    except OSError:
        return False  # it changes under our eyes: somebody is at work
    return time.time() - newest > _FORGOTTEN


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove(path: Path) -> None:
    try:
        _remove_now(path)
    except BaseException:  # a signal that ends the process came in the middle: that must wait
        _remove_now(path)
        raise


def _remove_now(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
