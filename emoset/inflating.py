"""Decompression in blocks of bounded size: no input makes it take more memory than a few of them.

The readers of zipfile unpack bzip2 and lzma without such a bound, and those of bz2 and lzma pass over what is
damaged behind a first whole stream; hence these.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

BLOCK: Final = 1 << 18

_LONGEST_HEADER: Final = 1 << 16
"""Bytes that a tar may state about one member; honest ones state a name and some attributes."""

_MAGIC: Final = {
    b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"Rar!\x1a\x07\x00": "rar", b"Rar!\x1a\x07\x01\x00": "rar",
    b"7z\xbc\xaf\x27\x1c": "7z", b"\x1f\x8b": "tar.gz", b"BZh": "tar.bz2", b"\xfd7zXZ\x00": "tar.xz",
}  # fmt: skip


def kind_of(path: Path) -> str | None:
    """What kind of archive a file is, by its content; None if it is none."""
    with path.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
        kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "tar")
        if not kind.startswith("tar"):
            return kind
        file.seek(0)
        try:
            block = b"".join(Stream(unpacked(kind, file.read, tarfile.BLOCKSIZE)).take(tarfile.BLOCKSIZE))
            tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, zlib.error, lzma.LZMAError, ValueError, EOFError):
            return None
    return kind


class Part:
    """Some bytes of a file, from where it stands."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int) -> bytes:
        """Some bytes, or none at the end of the part."""
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


class Stream:
    """The bytes of a tar, forwards only.

    Args:
        blocks: they come in.
        weigh: is told how many came so far, and refuses too many.
    """

    def __init__(self, blocks: Iterator[bytes], weigh: Callable[[int], None] = lambda size: None) -> None:
        self._blocks, self._rest, self._at, self._weigh = blocks, memoryview(b""), 0, weigh

    def tell(self) -> int:
        """Bytes that were taken."""
        return self._at

    def take(self, size: int) -> Iterator[memoryview]:
        """The next bytes, in blocks, fewer at the end."""
        while size > 0 and (self._rest or self._advance()):
            part, self._rest = self._rest[:size], self._rest[size:]
            self._at += len(part)
            size -= len(part)
            yield part

    def read(self, size: int) -> bytes:
        """The next bytes at once: tarfile reads headers by this."""
        if not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes at byte {self._at}")
        return b"".join(self.take(size))

    def seek(self, place: int) -> None:
        """Pass over what comes before a place."""
        for _ in self.take(place - self._at):
            pass
        if self._at != place:
            raise EOFError

    def _advance(self) -> bool:
        self._rest = memoryview(next(self._blocks, b""))
        self._weigh(self._at + len(self._rest))
        return bool(self._rest)


class _Deflate:
    """What zlib unpacks, by the interface of bz2 and lzma."""

    eof, unused_data = False, b""

    def __init__(self, bits: int) -> None:
        self._engine, self.needs_input = zlib.decompressobj(bits), True

    def decompress(self, data: bytes, limit: int) -> bytes:
        out = self._engine.decompress(self._engine.unconsumed_tail + data, limit)
        self.needs_input = not self._engine.unconsumed_tail and len(out) < limit
        self.eof, self.unused_data = self._engine.eof, self._engine.unused_data
        return out


def _zip_lzma(read: Callable[[int], bytes]) -> lzma.LZMADecompressor:
    """A decompressor set up by the header of a zip's lzma: version, length of what follows, properties."""
    mode, dict_size = struct.unpack("<4xBI", read(9))
    rest, lc = divmod(mode, 9)
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": dict_size, "lc": lc, "lp": rest % 5, "pb": rest // 5}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


ENGINES: Final[dict[str | int, Callable[[Callable[[int], bytes]], Any]]] = {
    "tar.gz": lambda read: _Deflate(31),
    "tar.bz2": lambda read: bz2.BZ2Decompressor(),
    "tar.xz": lambda read: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 30),
    zipfile.ZIP_DEFLATED: lambda read: _Deflate(-15),
    zipfile.ZIP_BZIP2: lambda read: bz2.BZ2Decompressor(),
    zipfile.ZIP_LZMA: _zip_lzma,
}


def unpacked(method: str | int, read: Callable[[int], bytes], size: int = BLOCK) -> Iterator[bytes]:
    """What packed bytes hold, in blocks.

    Args:
        method: kind of a packed tar, whose streams may follow each other, or method of a zip's one stream.
        read: gives the packed bytes, by a largest number of them.
        size: of a block, at most.

    Raises:
        Exception: of many types, if they are damaged, cut short, or followed by what does not belong to them.
    """
    if method in ("tar", zipfile.ZIP_STORED):
        yield from iter(lambda: read(size), b"")
        return
    engine, data = ENGINES[method](read), b""
    while True:
        if engine.eof:
            data = engine.unused_data or read(size)
            while data and isinstance(method, str) and not data.strip(b"\0"):
                data = read(size)  # padding
            if not data:
                return
            if not isinstance(method, str):
                raise ValueError("something follows its end")
            engine, data = ENGINES[method](read), data.lstrip(b"\0")
        elif engine.needs_input and not data:
            data = read(size)
            if not data:
                raise EOFError
        try:
            block = engine.decompress(data, size)
        except OSError as error:  # of bz2, which means damage, not the disk
            raise ValueError(str(error)) from None
        data = b""
        if block:
            yield block
