"""Archives by the dozen, made on the spot: those that must be refused, and those that must come out as they are.

``HOSTILE`` has a maker for each kind that must be refused under the usual limits; it writes the archive into a folder
and returns its path. ``BENIGN`` has for each kind its maker, the files that must come out, and the code page to state.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Make = Callable[[Path], Path]

WAV = b"RIFF" + bytes(range(256)) * 3
TREE = {
    "corpus/wav/a.wav": WAV,
    "corpus/wav/b.wav": WAV[::-1],
    "corpus/labels.csv": b"file,emotion\na,anger\n",
    "corpus/empty": b"",
}
ZEROS = 80 << 20
"""More than comes out of a small archive under the usual limits."""


def _file(name: str, make: Callable[[], bytes]) -> Make:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(make())
        return path

    return write


# zip


@dataclass
class Entry:
    """A member of a zip, with every field open to a lie."""

    name: str | bytes
    data: bytes = WAV
    method: int = 0
    flags: int = 0x800
    attributes: int = 0
    system: int = 3
    packed: bytes | None = None
    size: int | None = None
    crc: int | None = None
    local_name: bytes | None = None
    listed: bool = True
    offset: int | None = None
    disk: int = 0
    descriptor: bool = False
    junk: bytes = b""


def _deflated(data: bytes) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return engine.compress(data) + engine.flush()


_PACKERS: dict[int, Callable[[bytes], bytes]] = {0: bytes, 8: _deflated, 12: bz2.compress}


def zip_bytes(*entries: Entry, comment: bytes = b"", count: int | None = None) -> bytes:
    """A zip as the entries say, true or not."""
    out, listing, listed = bytearray(), bytearray(), 0
    for entry in entries:
        name = entry.name.encode() if isinstance(entry.name, str) else entry.name
        packed = entry.packed
        if packed is None:
            packed = _PACKERS[entry.method](entry.data)
        size = len(entry.data) if entry.size is None else entry.size
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        offset = len(out) if entry.offset is None else entry.offset
        flags = entry.flags | 8 * entry.descriptor
        stated = (0, 0, 0) if entry.descriptor else (crc, len(packed), size)
        local = name if entry.local_name is None else entry.local_name
        if entry.offset is None:
            out += struct.pack("<4s5H3L2H", b"PK\3\4", 20, flags, entry.method, 0, 33, *stated, len(local), 0)
            out += local + packed
            if entry.descriptor:
                out += struct.pack("<4s3L", b"PK\7\10", crc, len(packed), size)
            out += entry.junk
        if entry.listed:
            listed += 1
            listing += struct.pack(
                "<4s2B5H3L5H2L", b"PK\1\2", 20, entry.system, 20, flags, entry.method, 0, 33, crc, len(packed), size,
                len(name), 0, 0, entry.disk, 0, entry.attributes, offset,
            )  # fmt: skip
            listing += name
    count = listed if count is None else count
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(listing), len(out), len(comment))
    return bytes(out + listing + end + comment)


def _zip(*entries: Entry | str) -> Make:
    return _file("corpus.zip", lambda: zip_bytes(*(Entry(e) if isinstance(e, str) else e for e in entries)))


def plain_zip(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, folders: Iterable[str] = ()) -> bytes:
    """A zip as Python writes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for folder in folders:
            file.mkdir(folder)
        for name, data in files.items():
            file.writestr(name, data)
    return buffer.getvalue()


def _zip64() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in TREE.items():
            with file.open(name, "w", force_zip64=True) as member:
                member.write(data)
    return buffer.getvalue()


def _streamed_zip() -> bytes:
    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            out.extend(data)
            return len(data)

    out = bytearray()
    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in TREE.items():
            file.writestr(name, data)
    return bytes(out)


def _overlapping_zip() -> bytes:
    """The better zip bomb: many members in the list, one kernel of data."""
    kernel = Entry("0", bytes(1 << 20), method=8)
    return zip_bytes(
        kernel, *(Entry(str(n), bytes(1 << 20), method=8, offset=0, local_name=b"0") for n in range(1, 60))
    )


def _link(target: str) -> dict[str, Any]:
    return {"data": target.encode(), "attributes": 0o120777 << 16}


# tar


def tar_bytes(
    files: Iterable[tuple[str, bytes | dict[str, Any]]], form: int = tarfile.PAX_FORMAT, encoding: str = "utf-8"
) -> bytes:
    """A tar of files, or of whatever the fields of a header say."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding=encoding, errors="surrogateescape") as file:
        for name, content in files:
            info = tarfile.TarInfo(name)
            if isinstance(content, dict):
                for field, value in content.items():
                    setattr(info, field, value)
                file.addfile(info, io.BytesIO(bytes(info.size)))
            else:
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _tar(*files: tuple[str, bytes | dict[str, Any]]) -> Make:
    return _file("corpus.tar", lambda: tar_bytes(files))


def _tar_tree() -> bytes:
    return tar_bytes(TREE.items())


def _git_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers={"comment": "0" * 40}) as file:
        for name, data in TREE.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _packed_tar(suffix: str, pack: Callable[[bytes], bytes], change: Callable[[bytes], bytes] = bytes) -> Make:
    return _file(f"corpus.tar.{suffix}", lambda: change(pack(_tar_tree())))


def _replaced(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def _header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """A header whose size field holds what it should not."""
    header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    header[124:136], header[156:157], header[148:156] = size, kind, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _second_header_damaged() -> bytes:
    data = tar_bytes([("a.wav", WAV), ("b.wav", WAV), ("c.wav", WAV)], tarfile.USTAR_FORMAT)
    return _replaced(data, 3 * 512, b"\xff")


def _gzip_of_zeros() -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        file.write(_header("zeros.wav", b"%011o\0" % ZEROS))
        for _ in range(ZEROS >> 20):
            file.write(bytes(1 << 20))
        file.write(bytes(1024))
    return buffer.getvalue()


# 7z and rar


def seven_zip_bytes(files: Iterable[tuple[str, bytes]], attributes: int | None = None, **options: Any) -> bytes:
    """A 7z as py7zr writes it, whatever the names; the last member may be said to be something else."""
    import py7zr

    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", **options) as file:
        for name, content in files:
            file._writestr(content, name)  # which takes any name
        if attributes is not None:
            file.header.files_info.files[-1]["attributes"] = attributes
    return buffer.getvalue()


def _seven_zip(*files: tuple[str, bytes], change: Callable[[bytes], bytes] = bytes, **options: Any) -> Make:
    return _file("corpus.7z", lambda: change(seven_zip_bytes(files, **options)))


def _seven_zip_bomb() -> bytes:
    return seven_zip_bytes([("zeros.wav", bytes(ZEROS))], filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}])


def _vint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _rar_block(kind: int, body: bytes, data: bytes = b"", extra: bytes = b"", flags: int = 0) -> bytes:
    flags |= bool(extra) | 2 * (kind == 2)
    sizes = (_vint(len(extra)) if extra else b"") + (_vint(len(data)) if kind == 2 else b"")
    header = _vint(kind) + _vint(flags) + sizes + body + extra
    header = _vint(len(header)) + header
    return struct.pack("<L", zlib.crc32(header)) + header + data


def _rar_extra(kind: int, body: bytes) -> bytes:
    return _vint(len(_vint(kind) + body)) + _vint(kind) + body


def rar_file(
    name: str | bytes, data: bytes = WAV, *, extra: bytes = b"", flags: int = 0, method: int = 0,
    crc: int | None = None, mode: int = 0o100644, folder: bool = False,
) -> bytes:  # fmt: skip
    """A stored member of a RAR 5 archive."""
    name = name.encode() if isinstance(name, str) else name
    checksum = struct.pack("<L", zlib.crc32(data) if crc is None else crc)
    body = _vint(4 + folder) + _vint(len(data)) + _vint(mode) + checksum + _vint(method << 7) + _vint(1)
    return _rar_block(2, body + _vint(len(name)) + name, data, extra, flags)


def rar_bytes(*blocks: bytes, main: int = 0, end: bool = True) -> bytes:
    """A RAR 5 archive."""
    whole = [b"Rar!\x1a\x07\x01\x00", _rar_block(1, _vint(main)), *blocks, _rar_block(5, _vint(0)) * end]
    return b"".join(whole)


def _rar(*blocks: bytes, main: int = 0, end: bool = True) -> Make:
    return _file("corpus.rar", lambda: rar_bytes(*blocks, main=main, end=end))


def old_rar_bytes(*files: tuple[bytes, bytes]) -> bytes:
    """A RAR 3 archive of stored members whose names are in a code page."""

    def block(kind: int, flags: int, body: bytes) -> bytes:
        rest = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(rest) & 0xFFFF) + rest

    out = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for name, data in files:
        fields = struct.pack(
            "<LLBLLBBHL", len(data), len(data), 2, zlib.crc32(data), 0x21 << 16, 20, 0x30, len(name), 0x20
        )
        out += block(0x74, 0x8000, fields + name) + data
    return out + block(0x7B, 0x4000, b"")


# nested


def _nested(*levels: str, core: Mapping[str, bytes] = TREE) -> bytes:
    """Archives of the given kinds within each other, from the inside out."""
    files, data = dict(core), b""
    for number, kind in enumerate(levels):
        data = plain_zip(files) if kind == "zip" else gzip.compress(tar_bytes(files.items()))
        files = {f"part{number}.{kind}": data}
    return data


def _meld() -> bytes:
    parts = {
        part: gzip.compress(tar_bytes([(f"{part}_splits/dia0_utt{n}.mp4", WAV * (n + 1)) for n in range(3)]))
        for part in ("train", "dev", "test")
    }
    files = {"MELD.Raw/README.txt": b"read me", **{f"MELD.Raw/{part}.tar.gz": data for part, data in parts.items()}}
    return gzip.compress(tar_bytes(files.items()))


def _bomb_of_bombs() -> bytes:
    return plain_zip({f"{n}.zip": plain_zip({f"zeros{n}": bytes(8 << 20)}) for n in range(12)})


DOCX = plain_zip({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w:document/>"})
SILENCE = bytes(2 << 20)
CONTROL = "a\nb.wav"

HOSTILE: dict[str, Make] = {
    "zip: a path that leads out": _zip("../evil.wav"),
    "zip: a path that leads out further down": _zip("wav/../../evil.wav"),
    "zip: a path that leads in and out": _zip("wav/../a.wav"),
    "zip: a sibling of the target": _zip("../raw_evil/a.wav"),
    "zip: an absolute path": _zip("/evil.wav"),
    "zip: a drive letter": _zip("C:evil.wav"),
    "zip: a drive letter and backslashes": _zip("C:\\evil.wav"),
    "zip: backslashes that lead out": _zip("..\\evil.wav"),
    "zip: a network path": _zip("\\\\server\\share\\evil.wav"),
    "zip: a symbolic link": _zip("a.wav", Entry("link", **_link("/etc/passwd"))),
    "zip: a symbolic link and a file through it": _zip(Entry("wav", **_link("..")), "wav/evil.wav"),
    "zip: a symbolic link that claims to come from DOS": _zip(Entry("link", **_link("a.wav"), system=0)),
    "zip: a reparse point": _zip(Entry("link", attributes=0x400, system=0)),
    "zip: a named pipe": _zip(Entry("pipe", b"", attributes=0o010644 << 16)),
    "zip: a device": _zip(Entry("device", b"", attributes=0o060644 << 16)),
    "zip: a socket": _zip(Entry("socket", b"", attributes=0o140644 << 16)),
    "zip: encrypted": _zip(Entry("secret.wav", flags=0x801)),
    "zip: a name twice": _zip("a.wav", "b.wav", "a.wav"),
    "zip: names that differ by case": _zip("wav/a.wav", "wav/A.WAV"),
    "zip: folders that differ by case": _zip("JL/wav/a.wav", "jl/wav/b.wav"),
    "zip: names that differ by Unicode form": _zip("\u00e4.wav", "a\u0308.wav"),
    "zip: a file that is a folder": _zip("wav", "wav/a.wav"),
    "zip: a folder that is a file": _zip("wav/a.wav", "wav"),
    "zip: NUL in a name": _zip("a.wav\0.exe"),
    "zip: a control character in a name": _zip(CONTROL),
    "zip: an empty name": _zip(Entry("")),
    "zip: an empty name in a path": _zip("wav//a.wav"),
    "zip: a dot for a name": _zip("wav/./a.wav"),
    "zip: a device of Windows": _zip("wav/aux.wav"),
    "zip: a device of Windows for a folder": _zip("CON/a.wav"),
    "zip: a name that ends with a dot": _zip("wav./a.wav"),
    "zip: a name that ends with a space": _zip("wav/a.wav "),
    "zip: a stream of NTFS": _zip("a.wav:hidden"),
    "zip: a name of a pattern": _zip("a*.wav"),
    "zip: a name of work in progress": _zip(f".emoset-part.0123abcd.1.{'0' * 32}.x"),
    "zip: an over-long name": _zip(f"{'n' * 300}.wav"),
    "zip: an over-long path": _zip("/".join(["folder"] * 200)),
    "zip: a name of an unknown code page": _zip(Entry("Ä.wav".encode("cp850"), flags=0)),
    "zip: a name that is not the UTF-8 it claims": _zip(Entry(b"\x8e.wav")),
    "zip: a bomb": _zip(Entry("zeros.wav", bytes(ZEROS), method=8)),
    "zip: a bomb that lies": _zip(Entry("zeros.wav", bytes(4 << 20), method=8, size=1000)),
    "zip: a bomb of bzip2 that lies": _zip(Entry("zeros.wav", bytes(ZEROS), method=12, size=1000)),
    "zip: members that overlap": _file("corpus.zip", _overlapping_zip),
    "zip: less than is stated": _zip(Entry("a.wav", size=5000, method=8)),
    "zip: gigabytes are stated": _zip(Entry("a.wav", size=0xFFFFFFF0)),
    "zip: a wrong checksum": _zip("a.wav", Entry("b.wav", crc=1)),
    "zip: damaged deflate": _zip(Entry("a.wav", method=8, packed=b"\xff" * 50)),
    "zip: something after the deflate": _zip(Entry("a.wav", method=8, packed=_deflated(WAV) + b"hidden")),
    "zip: an unknown method": _zip(Entry("a.wav", method=9, packed=WAV)),
    "zip: names in list and member differ": _zip(Entry("a.wav", local_name=b"b.wav")),
    "zip: a member that is not listed": _zip("a.wav", Entry("hidden.wav", listed=False), "b.wav"),
    "zip: a member at the end that is not listed": _zip("a.wav", Entry("hidden.wav", listed=False)),
    "zip: garbage between members": _zip(Entry("a.wav", junk=b"x" * 100), "b.wav"),
    "zip: two after each other": _file("corpus.zip", lambda: plain_zip(TREE) + plain_zip({"other.wav": WAV})),
    "zip: a part of a split archive": _zip(Entry("a.wav", disk=1)),
    "zip: a folder that holds bytes": _zip("a.wav", Entry("wav/", b"hidden")),
    "zip: a folder with the name of a file": _zip("a.wav", Entry("wav", b"", attributes=0x10)),
    "zip: cut short": _file("corpus.zip", lambda: plain_zip(TREE)[:-200]),
    "zip: cut out of the middle": _file("corpus.zip", lambda: plain_zip(TREE)[:60] + plain_zip(TREE)[90:]),
    "zip: no members": _zip(),
    "tar: a path that leads out": _tar(("../evil.wav", WAV)),
    "tar: an absolute path": _tar(("/evil.wav", WAV)),
    "tar: a long path that leads out": _tar(("../" + "n" * 150 + ".wav", WAV)),
    "tar: a long GNU path that leads out": _file(
        "corpus.tar", lambda: tar_bytes([("../" + "n" * 150 + ".wav", WAV)], tarfile.GNU_FORMAT)
    ),
    "tar: a backslash": _tar(("..\\evil.wav", WAV)),
    "tar: a symbolic link": _tar(("link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})),
    "tar: a symbolic link and a file through it": _tar(
        ("wav", {"type": tarfile.SYMTYPE, "linkname": ".."}), ("wav/evil.wav", WAV)
    ),
    "tar: a hard link": _tar(("a.wav", WAV), ("link", {"type": tarfile.LNKTYPE, "linkname": "a.wav"})),
    "tar: a character device": _tar(("device", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})),
    "tar: a block device": _tar(("device", {"type": tarfile.BLKTYPE})),
    "tar: a named pipe": _tar(("pipe", {"type": tarfile.FIFOTYPE})),
    "tar: a type of no standard": _tar(("a.wav", WAV), ("odd", {"type": b"Z"})),
    "tar: a sparse file": _tar(("a.wav", WAV), ("sparse.wav", {"type": tarfile.GNUTYPE_SPARSE})),
    "tar: a sparse file by pax": _tar(
        ("sparse.wav", {"size": 512, "pax_headers": {"GNU.sparse.map": "0,512", "GNU.sparse.realsize": "9999999"}})
    ),
    "tar: a name twice": _tar(("a.wav", WAV), ("./a.wav", WAV)),
    "tar: names that differ by case": _tar(("a.wav", WAV), ("A.wav", WAV)),
    "tar: a name of an unknown code page": _file(
        "corpus.tar", lambda: tar_bytes([("Ä.wav", WAV)], tarfile.GNU_FORMAT, "cp850")
    ),
    "tar: a damaged header": _file("corpus.tar", _second_header_damaged),
    "tar: no end mark": _file("corpus.tar", lambda: tar_bytes([("a.wav", WAV), ("b.wav", WAV)])[: 6 * 512]),
    "tar: cut within a member": _file("corpus.tar", lambda: tar_bytes([("a.wav", WAV), ("b.wav", WAV)])[: 5 * 512]),
    "tar: two after each other": _file("corpus.tar", lambda: _tar_tree() + _tar_tree()),
    "tar: a negative size": _file("corpus.tar", lambda: _header("a.wav", b"\xff" * 12) + bytes(1024)),
    "tar: a petabyte is stated": _file("corpus.tar", lambda: _header("a.wav", b"\x80" + bytes(4) + b"\4" + bytes(6))),
    "tar: a name of a gigabyte": _file("corpus.tar", lambda: _header("a", b"10000000000\0", b"L") + bytes(4096)),
    "tar: names of names of names": _file(
        "corpus.tar", lambda: (_header("a", b"00000000001\0", b"L") + bytes(512)) * 3000
    ),
    "tar.gz: cut short": _packed_tar("gz", gzip.compress, lambda data: data[:-20]),
    "tar.gz: a wrong checksum": _packed_tar(
        "gz", gzip.compress, lambda data: _replaced(data, len(data) - 8, b"\0\0\0\0")
    ),
    "tar.gz: garbage after it": _packed_tar("gz", gzip.compress, lambda data: data + b"garbage"),
    "tar.gz: garbage within": _packed_tar(
        "gz", gzip.compress, lambda data: _replaced(data, len(data) // 2, b"\xff" * 40)
    ),
    "tar.gz: a bomb": _file("corpus.tar.gz", _gzip_of_zeros),
    "tar.bz2: cut short": _packed_tar("bz2", bz2.compress, lambda data: data[:-20]),
    "tar.bz2: garbage after it": _packed_tar("bz2", bz2.compress, lambda data: data + b"garbage"),
    "tar.xz: cut short": _packed_tar("xz", lzma.compress, lambda data: data[:-20]),
    "tar.xz: garbage after it": _packed_tar("xz", lzma.compress, lambda data: data + b"garbage"),
    "nested: a path that leads out": _file("corpus.zip", lambda: _nested("tar.gz", "zip", core={"../evil.wav": WAV})),
    "nested: a name of a sibling": _file(
        "corpus.zip", lambda: plain_zip({"wav/a.wav": WAV, "wav/more.zip": plain_zip({"A.wav": WAV})})
    ),
    "nested: names of two archives": _file(
        "corpus.zip", lambda: plain_zip({"1.zip": plain_zip({"a.wav": WAV}), "2.zip": plain_zip({"a.wav": WAV})})
    ),
    "nested: its own name": _file("corpus.zip", lambda: plain_zip({"a.zip": plain_zip({"a.zip": WAV})})),
    "nested: too deep": _file("corpus.zip", lambda: _nested("zip", "zip", "zip", "zip", "zip")),
    "nested: a bomb of bombs": _file("corpus.zip", _bomb_of_bombs),
    "nested: cut short": _file(
        "corpus.zip", lambda: plain_zip({"wav.tar.gz": gzip.compress(_tar_tree())[:-20]}, zipfile.ZIP_STORED)
    ),
    "7z: a path that leads out": _seven_zip(("../evil.wav", WAV)),
    "7z: an absolute path": _seven_zip(("/evil.wav", WAV)),
    "7z: a symbolic link": _seven_zip(("a.wav", WAV), ("link", b"a.wav"), attributes=0o120777 << 16 | 0x8000),
    "7z: a named pipe": _seven_zip(("a.wav", WAV), ("pipe", b""), attributes=0o010644 << 16 | 0x8000),
    "7z: a reparse point": _seven_zip(("a.wav", WAV), ("link", b"a.wav"), attributes=0x420),
    "7z: a name twice": _seven_zip(("a.wav", WAV), ("a.wav", WAV)),
    "7z: names that differ by case": _seven_zip(("a.wav", WAV), ("A.wav", WAV)),
    "7z: encrypted": _seven_zip(("secret.wav", WAV), password="x"),  # noqa: S106
    "7z: encrypted with its list": _seven_zip(("secret.wav", WAV), password="x", header_encryption=True),  # noqa: S106
    "7z: cut short": _seven_zip(*TREE.items(), change=lambda data: data[:-20]),
    "7z: damaged content": _seven_zip(*TREE.items(), change=lambda data: _replaced(data, 60, b"\xff\xff")),
    "7z: a bomb": _file("corpus.7z", _seven_zip_bomb),
    "rar: a path that leads out": _rar(rar_file("../evil.wav")),
    "rar: an absolute path": _rar(rar_file("/evil.wav")),
    "rar: a symbolic link": _rar(rar_file("link", b"", extra=_rar_extra(5, _vint(1) + _vint(0) + _vint(1) + b"/"))),
    "rar: a hard link": _rar(
        rar_file("a"), rar_file("link", b"", extra=_rar_extra(5, _vint(4) + _vint(0) + _vint(1) + b"a"))
    ),
    "rar: a reference": _rar(
        rar_file("a"), rar_file("copy", b"", extra=_rar_extra(5, _vint(5) + _vint(0) + _vint(1) + b"a"))
    ),
    "rar: a device": _rar(rar_file("device", b"", mode=0o060644)),
    "rar: encrypted": _rar(rar_file("secret.wav", extra=_rar_extra(1, b"\0\0\0" + bytes(32)))),
    "rar: a former version": _rar(rar_file("a.wav"), rar_file("a.wav", extra=_rar_extra(4, b"\0\1"))),
    "rar: a name twice": _rar(rar_file("a.wav"), rar_file("a.wav")),
    "rar: a name that is not in UTF-8": _rar(rar_file(b"\x8e.wav")),
    "rar: a wrong checksum": _rar(rar_file("a.wav"), rar_file("b.wav", crc=1)),
    "rar: a damaged header": _rar(rar_file("a.wav"), rar_file("b.wav")[1:]),
    "rar: no end mark": _rar(rar_file("a.wav"), end=False),
    "rar: a part of a split archive": _rar(rar_file("a.wav"), main=1),
    "rar: compressed garbage": _rar(rar_file("a.wav", method=3)),
    "rar: an old one with names of an unknown code page": _file(
        "corpus.rar", lambda: old_rar_bytes(("Ä.wav".encode("cp850"), WAV))
    ),
    "none: an empty file": _file("corpus.zip", bytes),
    "none: a web page": _file("corpus.zip", lambda: b"\n<!DOCTYPE html><html>quota exceeded</html>"),
    "none: a git-LFS pointer": _file("corpus.zip", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
    "none: a program": _file("corpus.exe", lambda: b"MZ" + bytes(200) + plain_zip(TREE)),
    "none: gzip without a tar": _file("corpus.tar.gz", lambda: gzip.compress(WAV * 10)),
    "none: audio": _file("corpus.zip", lambda: WAV * 10),
    "none: zeros": _file("corpus.tar", lambda: bytes(10240)),
}

LONG = "folder/" * 20 + "n" * 120 + ".wav"
NAMES = {"Ärger/fröhlich.wav": WAV, "разное/злость.wav": WAV, "日本/怒り.wav": WAV}
LEGACY = {"Ärger/fröhlich.wav": WAV, "b.wav": WAV}

BENIGN: dict[str, tuple[Make, Mapping[str, bytes], str | None]] = {
    "zip: stored": (_file("corpus.zip", lambda: plain_zip(TREE, zipfile.ZIP_STORED)), TREE, None),
    "zip: deflated": (_file("corpus.zip", lambda: plain_zip(TREE)), TREE, None),
    "zip: bzip2": (_file("corpus.zip", lambda: plain_zip(TREE, zipfile.ZIP_BZIP2)), TREE, None),
    "zip: lzma": (_file("corpus.zip", lambda: plain_zip(TREE, zipfile.ZIP_LZMA)), TREE, None),
    "zip: with data descriptors": (_file("corpus.zip", _streamed_zip), TREE, None),
    "zip: of the 64-bit form": (_file("corpus.zip", _zip64), TREE, None),
    "zip: with folders": (
        _file("corpus.zip", lambda: plain_zip(TREE, folders=["corpus", "corpus/wav", "corpus/none"])), TREE, None,
    ),
    "zip: folders after their files": (_zip("wav/a.wav", Entry("wav/", b"")), {"wav/a.wav": WAV}, None),
    "zip: names in UTF-8": (_file("corpus.zip", lambda: plain_zip(NAMES)), NAMES, None),
    "zip: names in UTF-8 that do not say so": (_zip(*(Entry(n.encode(), flags=0) for n in NAMES)), NAMES, None),
    "zip: names in a stated code page": (_zip(*(Entry(n.encode("cp850"), flags=0) for n in LEGACY)), LEGACY, "cp850"),
    "zip: names in Shift-JIS, whose letters hold backslashes": (
        _zip(Entry("表/ソ.wav".encode("shift_jis"), flags=0)), {"表/ソ.wav": WAV}, "shift_jis",
    ),
    "zip: backslashes for slashes": (_zip("wav\\a.wav", "wav\\b.wav"), {"wav/a.wav": WAV, "wav/b.wav": WAV}, None),
    "zip: a comment": (_file("corpus.zip", lambda: zip_bytes(Entry("a.wav"), comment=b"PK made by hand")), {"a.wav": WAV}, None),
    "zip: marks of macOS": (
        _zip("wav.zip.txt", "__MACOSX/._a.zip", ".DS_Store"),
        {"wav.zip.txt": WAV, "__MACOSX/._a.zip": WAV, ".DS_Store": WAV}, None,
    ),
    "zip: silence that shrinks a thousandfold": (_file("corpus.zip", lambda: plain_zip({"a.wav": SILENCE})), {"a.wav": SILENCE}, None),
    "zip: deflated to nothing at all": (_zip("a.wav", Entry("b", b"", method=8, packed=b"")), {"a.wav": WAV, "b": b""}, None),
    "zip: names that look odd": (
        _zip("a b (1).wav", "con_anger.wav", "-rf", "@a", "~", "...a", "%s", "a'b;c&d"),
        dict.fromkeys(["a b (1).wav", "con_anger.wav", "-rf", "@a", "~", "...a", "%s", "a'b;c&d"], WAV), None,
    ),
    "zip: named for what it is not": (_file("corpus.tar.gz", lambda: plain_zip(TREE)), TREE, None),
    "tar: of pax": (_file("corpus.tar", _tar_tree), TREE, None),
    "tar: of GNU": (_file("corpus.tar", lambda: tar_bytes(TREE.items(), tarfile.GNU_FORMAT)), TREE, None),
    "tar: of ustar": (_file("corpus.tar", lambda: tar_bytes(TREE.items(), tarfile.USTAR_FORMAT)), TREE, None),
    "tar: long names of pax": (_file("corpus.tar", lambda: tar_bytes([(LONG, WAV)])), {LONG: WAV}, None),
    "tar: long names of GNU": (_file("corpus.tar", lambda: tar_bytes([(LONG, WAV)], tarfile.GNU_FORMAT)), {LONG: WAV}, None),
    "tar: of a folder, from within": (
        _tar(("./", {"type": tarfile.DIRTYPE}), ("./wav", {"type": tarfile.DIRTYPE}), ("./wav/a.wav", WAV)),
        {"wav/a.wav": WAV}, None,
    ),
    "tar: as git writes it": (_file("corpus.tar", _git_tar), TREE, None),
    "tar: names in UTF-8": (_file("corpus.tar", lambda: tar_bytes(NAMES.items(), tarfile.GNU_FORMAT)), NAMES, None),
    "tar: names in a stated code page": (
        _file("corpus.tar", lambda: tar_bytes(LEGACY.items(), tarfile.GNU_FORMAT, "cp850")), LEGACY, "cp850",
    ),
    "tar: a single block of zeros at its end": (
        _file("corpus.tar", lambda: tar_bytes([("a.wav", WAV)])[: 4 * 512]), {"a.wav": WAV}, None,
    ),
    "tar.gz": (_packed_tar("gz", gzip.compress), TREE, None),
    "tar.gz: in two streams": (
        _packed_tar("gz", lambda data: gzip.compress(data[:3000]) + gzip.compress(data[3000:])), TREE, None,
    ),
    "tar.gz: padded by zeros": (_packed_tar("gz", gzip.compress, lambda data: data + bytes(512)), TREE, None),
    "tar.bz2": (_packed_tar("bz2", bz2.compress), TREE, None),
    "tar.xz": (_packed_tar("xz", lzma.compress), TREE, None),
    "nested: as MELD is": (
        _file("MELD.Raw.tar.gz", _meld),
        {"MELD.Raw/README.txt": b"read me",
         **{f"MELD.Raw/{part}_splits/dia0_utt{n}.mp4": WAV * (n + 1) for part in ("train", "dev", "test") for n in range(3)}},
        None,
    ),
    "nested: as deep as may be": (_file("corpus.zip", lambda: _nested("zip", "tar.gz", "zip", "tar.gz")), TREE, None),
    "nested: documents that are zips": (
        _file("corpus.zip", lambda: plain_zip({"read me.docx": DOCX, "table.xlsx": DOCX, "features.npz": DOCX})),
        {"read me.docx": DOCX, "table.xlsx": DOCX, "features.npz": DOCX}, None,
    ),
    "nested: names of archives on what is none": (
        _file("corpus.zip", lambda: plain_zip({"a.zip": WAV, "b.tar": b"", "c.tar.gz": gzip.compress(WAV, mtime=0), "d.rar": DOCX})),
        {"a.zip": WAV, "b.tar": b"", "c.tar.gz": gzip.compress(WAV, mtime=0), "d.rar": DOCX}, None,
    ),
    "nested: two archives with one folder": (
        _file("corpus.zip", lambda: plain_zip({"1.zip": plain_zip({"wav/a.wav": WAV}), "2.zip": plain_zip({"wav/b.wav": WAV})})),
        {"wav/a.wav": WAV, "wav/b.wav": WAV}, None,
    ),
    "7z": (_seven_zip(*TREE.items()), TREE, None),
    "7z: names in Unicode": (_seven_zip(*NAMES.items()), NAMES, None),
    "rar": (_rar(*(rar_file(name, data) for name, data in TREE.items())), TREE, None),
    "rar: with folders": (
        _rar(rar_file("wav", b"", folder=True, mode=0o040755), rar_file("wav/ä.wav")), {"wav/ä.wav": WAV}, None,
    ),
    "rar: an old one": (_file("corpus.rar", lambda: old_rar_bytes((b"wav\\a.wav", WAV))), {"wav/a.wav": WAV}, None),
    "rar: an old one in a stated code page": (
        _file("corpus.rar", lambda: old_rar_bytes(*((n.encode("cp850"), d) for n, d in LEGACY.items()))), LEGACY, "cp850",
    ),
}  # fmt: skip


def tree_of(folder: Path) -> dict[str, bytes]:
    """All that is in a folder but folders, by relative path."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


def listing_of(folder: Path) -> list[str]:
    """All that is in a folder."""
    return sorted(os.path.relpath(p, folder) for p in folder.rglob("*"))
