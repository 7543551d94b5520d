"""Slots: memory that a build shares with its worker processes, so that audio is not copied through pipes."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from functools import cache
from typing import Final

import pyarrow as pa

from emoset.schema import arrow_schema
from emoset.shards import END, START

SLOT_BYTES: Final = 20 * 2**20
"""Room for what one task makes, unless compressed sources make more of it; then it goes through the pipe."""


class Slots:
    """Some pieces of memory, each in use by one task at a time; none where the system knows no such thing.

    Args:
        count: of them.
    """

    def __init__(self, count: int) -> None:
        self._files: list[int] = []
        self._maps: list[mmap.mmap] = []
        if hasattr(os, "memfd_create"):
            for _ in range(count):
                file = os.memfd_create("emoset-slot")
                os.truncate(file, SLOT_BYTES)
                self._files.append(file)
                self._maps.append(mmap.mmap(file, SLOT_BYTES))
        self._free = list(range(len(self._files)))

    def take(self) -> int | None:
        """The number of a slot that nobody uses, if there is one."""
        return self._free.pop() if self._free else None

    def address(self, slot: int) -> str:
        """Where a worker process finds it."""
        return f"/proc/{os.getpid()}/fd/{self._files[slot]}"

    def messages(self, slot: int, size: int) -> memoryview:
        """The record batches that a worker has written there, as messages of an Arrow stream. Release it after use."""
        with memoryview(self._maps[slot]) as whole:
            return whole[len(START) : max(size - len(END), 0)]

    def give_back(self, slot: int) -> None:
        """Let other tasks use it."""
        self._free.append(slot)

    def empty(self) -> None:
        """Give the memory back to the system until it is needed again; nobody may use a slot."""
        for file in self._files:
            os.truncate(file, 0)
            os.truncate(file, SLOT_BYTES)

    def close(self) -> None:
        """Give the memory back to the system."""
        _mapped.cache_clear()  # other slots may have these addresses next
        self._maps.clear()  # not closed: after an error somebody may still hold a part of one
        for file in self._files:
            os.close(file)


def write_slot(address: str, batches: Iterable[pa.RecordBatch]) -> int:
    """Write record batches to a slot, from a worker process.

    Returns:
        The bytes written; 0 if they do not fit, or if this process may not look there.
    """
    try:
        sink = pa.FixedSizeBufferWriter(pa.py_buffer(_mapped(address)))
        with pa.ipc.new_stream(sink, arrow_schema()) as stream:
            for batch in batches:
                if sink.tell() + batch.nbytes + 2**20 > SLOT_BYTES:
                    return 0
                stream.write_batch(batch)
        return int(sink.tell())
    except OSError:
        return 0


@cache
def _mapped(address: str) -> mmap.mmap:
    file = os.open(address, os.O_RDWR)
    try:
        return mmap.mmap(file, SLOT_BYTES)
    finally:
        os.close(file)
