"""The formats of archives: each lists what it holds, and writes files to nothing but the outputs it is given.

Listing reads headers only. Whether a member may come out under its name is judged elsewhere, between listing and
writing; what else a member may be than a file or a folder is refused here.
"""

from __future__ import annotations

import importlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from emoset.errors import ArchiveError
from emoset.inflating import BLOCK, ENGINES, Part, Stream, unpacked
from emoset.progress import Progress

AGAIN: Final = "download it again"
BY_HAND: Final = "look at what it holds, unpack it yourself and give the folder with --raw"
CODE_PAGE: Final = "state the code page of its names as `encoding` of the recipe's Source"

_DESCRIPTOR: Final = 24
"""Bytes that may follow a zip's member: its sizes and checksum, where they were unknown when it was begun."""

_WINDOWS_FOLDER, _WINDOWS_LINK, _HAS_MODE = 0x10, 0x400, 0x8000
_MODES: Final = {
    stat.S_IFLNK: "symbolic link", stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
}  # fmt: skip
_TAR_TYPES: Final = {
    tarfile.LNKTYPE: "hard link", tarfile.SYMTYPE: "symbolic link", tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device", tarfile.FIFOTYPE: "named pipe",
}  # fmt: skip
_RAR_LINKS: Final = {4: "hard link", 5: "mere reference to another member"}


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Turn what libraries raise over damaged or hostile content into our error."""
    try:
        yield
    except ArchiveError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArchiveError(
            f"it cannot be unpacked ({reason})", where=where, cure="see to paths, permissions and free space"
        ) from error
    except EOFError as error:
        raise ArchiveError("it is cut short", where=where, expected="more, or an end mark", cure=AGAIN) from error
    except Exception as error:  # nearly anything: IndexError, struct.error, RecursionError, MemoryError ...
        raise ArchiveError(
            f"it is damaged, or made in a way that is not known here ({error or type(error).__name__})",
            where=where, cure=f"{AGAIN}; if that changes nothing, unpack it yourself and give the folder with --raw",
        ) from error  # fmt: skip


def shown(name: str) -> str:
    """A member's name as messages can hold it."""
    text = name if name and name.isprintable() else ascii(name)[1:-1] or "(no name)"
    return text if len(text) <= 200 else f"{text[:150]}... ({len(text)} characters)"


@dataclass(slots=True)
class Member:
    """A file or folder as its archive lists it; it is given its path when it is admitted."""

    name: str
    size: int
    is_folder: bool
    crc: int | None
    source: Any
    where: str
    path: str = ""


class Output:
    """A new file that takes exactly the bytes that were listed."""

    def __init__(self, place: Path, member: Member, bar: Progress) -> None:
        self._member, self._bar, self._size, self._crc = member, bar, 0, 0
        place.parent.mkdir(parents=True, exist_ok=True)
        self._file = place.open("xb")

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._file.close()
        if kind is None:
            self.close()

    def write(self, data: bytes | memoryview) -> int:
        """Take some bytes, if they are not too many."""
        self._size += len(data)
        if self._size > self._member.size:
            self._refuse(f"it holds more than the {self._member.size} bytes that it states")
        self._crc = zlib.crc32(data, self._crc)
        self._bar.advance(len(data))
        return self._file.write(data)

    def close(self) -> None:
        """Compare what came with what was listed."""
        self._file.close()
        if self._size != self._member.size:
            self._refuse(f"it holds {self._size} bytes and states {self._member.size}")
        if self._member.crc not in (None, self._crc):
            self._refuse("its content does not match its checksum")

    def seekable(self) -> bool:
        """No; py7zr asks."""
        return False

    def _refuse(self, got: str) -> NoReturn:
        raise ArchiveError(got, where=self._member.where, cure=AGAIN)


Create = Callable[[Member], Output]


class Reader:
    """One archive of one format.

    Args:
        path: of the archive.
        kind: of it.
        where: what to call it in messages.
        encoding: code page of names that are not in UTF-8.
        weigh: refuses a number of bytes that is too large.
        show: whether to show bars.
    """

    def __init__(
        self, path: Path, kind: str, where: str, encoding: str | None, weigh: Callable[[int], None], show: bool
    ) -> None:
        self._path, self._kind, self._where = path, kind, where
        self._encoding, self._weigh, self._show = encoding, weigh, show

    def members(self) -> Generator[Member, None, None]:
        """All files and folders; whatever else there is, is refused."""
        raise NotImplementedError

    def write(self, files: list[Member], create: Create, root: Path) -> None:
        """Write files of those that were listed; nothing goes to the root but by what is created."""
        raise NotImplementedError

    def _member(self, name: str, size: int, is_folder: bool, crc: int | None, source: Any = None) -> Member:
        return Member(name, size, is_folder, crc, source, f"{self._where}: {shown(name)}")

    def _refuse(self, name: str, got: str, expected: str | None = None, cure: str = BY_HAND) -> NoReturn:
        raise ArchiveError(got, where=f"{self._where}: {shown(name)}", expected=expected, cure=cure)

    def _refuse_kind(self, name: str, kind: str) -> NoReturn:
        self._refuse(name, f"it is a {kind}", "nothing but files and folders")

    def _check_mode(self, name: str, mode: int, attributes: int = 0) -> None:
        kind = stat.S_IFMT(mode)
        if attributes & _WINDOWS_LINK:
            self._refuse_kind(name, "link (reparse point)")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            self._refuse_kind(name, _MODES.get(kind, "thing of unknown kind"))

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.decode(self._encoding or "utf-8")
        except UnicodeDecodeError:
            self._refuse(str(raw)[2:-1], f"its name is not in {self._encoding or 'UTF-8'}", cure=CODE_PAGE)


class _Zip(Reader):
    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self._path)
        except zipfile.BadZipFile as error:
            self._refuse("list of members", f"it is missing at the end, or damaged ({error})", cure=AGAIN)

    def members(self) -> Generator[Member, None, None]:
        with self._open() as listing, self._path.open("rb") as file:
            end = 0
            for info in sorted(listing.infolist(), key=lambda info: info.header_offset):
                in_utf8 = bool(info.flag_bits & 0x800)
                raw = info.orig_filename.encode("utf-8" if in_utf8 else "cp437")  # what zipfile decoded it by
                name = info.orig_filename if in_utf8 else self._decode(raw)
                path = name.replace("\\", "/")  # some Windows programs write these, against the specification
                self._check(info, name, path.endswith("/"))
                if info.header_offset < end:
                    self._refuse(name, "it overlaps the member before it")
                if info.header_offset > end + _DESCRIPTOR:
                    self._refuse(name, f"{info.header_offset - end} bytes ahead of it belong to no member")
                file.seek(info.header_offset)
                head = file.read(30)
                if head[:4] != b"PK\x03\x04" or file.read(int.from_bytes(head[26:28], "little")) != raw:
                    self._refuse(name, "the member and the list of members contradict each other", cure=AGAIN)
                start = file.tell() + int.from_bytes(head[28:30], "little")
                end = start + info.compress_size
                member = self._member(name, info.file_size, path.endswith("/"), info.CRC, (info, start))
                member.name = path
                yield member
            if not end <= listing.start_dir <= end + _DESCRIPTOR:
                self._refuse("list of members", "it does not begin where the members end", cure=AGAIN)

    def _check(self, info: zipfile.ZipInfo, name: str, is_folder: bool) -> None:
        method, mode = info.compress_type, info.external_attr >> 16
        if info.flag_bits & 0x2041:
            self._refuse(name, "it is encrypted")
        if info.volume:
            self._refuse(name, "it lies in another part of a split archive")
        if (method and method not in ENGINES) or (method == zipfile.ZIP_LZMA and not info.flag_bits & 2):
            self._refuse(name, f"it is packed by method {method}", "stored, deflate, bzip2 or lzma with an end mark")
        self._check_mode(name, mode, info.external_attr)
        if not is_folder and (stat.S_ISDIR(mode) or info.external_attr & _WINDOWS_FOLDER):
            self._refuse(name, "it has the mark of a folder and the name of a file")

    def write(self, files: list[Member], create: Create, root: Path) -> None:
        with self._path.open("rb") as file:
            for member in files:
                info, start = member.source
                file.seek(start)
                with naming(member.where), create(member) as output:
                    method = info.compress_type if info.compress_size else zipfile.ZIP_STORED
                    for data in unpacked(method, Part(file, info.compress_size).read):
                        output.write(data)


class _Tar(Reader):
    def members(self) -> Generator[Member, None, None]:
        size = self._path.stat().st_size
        with (
            self._path.open("rb") as file,
            Progress(f"reading {self._where}", size, self._show, in_bytes=True) as bar,
        ):
            stream: Any = self._stream(file, bar)
            encoding: Any = {"encoding": self._encoding or "utf-8", "errors": "surrogateescape"}
            tar: Any = tarfile.TarFile(fileobj=stream, tarinfo=_TarHeader, **encoding)
            while info := tar.next():
                tar.members = []  # it would keep them all
                if info.issparse() or info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
                    kind = _TAR_TYPES.get(info.type, f"member of type {info.type!r}")
                    self._refuse_kind(info.name, "sparse file" if info.issparse() else kind)
                yield self._member(info.name, info.size if info.isreg() else 0, info.isdir(), None, info.offset_data)
            if any(bytes(block).strip(b"\0") for block in stream.take(1 << 62)):
                self._refuse("end mark", "something follows it", cure=AGAIN)

    def write(self, files: list[Member], create: Create, root: Path) -> None:
        with self._path.open("rb") as file:
            stream = self._stream(file)
            for member in files:
                stream.seek(member.source)
                with naming(member.where), create(member) as output:
                    for data in stream.take(member.size):
                        output.write(data)

    def _stream(self, file: BinaryIO, bar: Progress | None = None) -> Stream:
        def read(size: int) -> bytes:
            data = file.read(size)
            if bar:
                bar.advance(len(data))
            return data

        return Stream(unpacked(self._kind, read), self._weigh)


class _TarHeader(tarfile.TarInfo):
    """A header that raises where it is damaged or missing; tarfile takes that for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _TarHeader:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.HeaderError as error:
            kind = type(error).__name__
            if kind == "EOFHeaderError":  # zeros: the mark of the end
                raise
            if kind in ("EmptyHeaderError", "TruncatedHeaderError"):
                raise EOFError(str(error)) from None
            raise tarfile.ReadError(f"{error} at byte {tarfile_.offset}") from None


class _SevenZip(Reader):
    @contextmanager
    def _open(self) -> Iterator[Any]:
        library = _library("py7zr", self._where)
        with self._path.open("rb") as file:  # a file, not a path: then all is done in this thread
            try:
                with library.SevenZipFile(file) as archive:
                    yield archive
            except library.PasswordRequired:
                self._refuse("list of members", "it is encrypted")

    def members(self) -> Generator[Member, None, None]:
        with self._open() as archive:
            for item in archive.files:
                name, attributes = item.filename, item.file_properties().get("attributes")
                if archive.needs_password():
                    self._refuse(name, "it is encrypted")
                if attributes is None and item.emptystream:
                    self._refuse(name, "it does not say whether it is a file or a folder")
                attributes = attributes or 0
                mode = attributes >> 16 if attributes & _HAS_MODE else 0
                self._check_mode(name, mode, attributes)
                if item.crc32 is None and not item.emptystream:
                    self._refuse(name, "it has no checksum")
                yield self._member(name, item.uncompressed, item.is_directory or stat.S_ISDIR(mode), item.crc32)

    def write(self, files: list[Member], create: Create, root: Path) -> None:
        with self._open() as archive, ExitStack() as stack:
            places = {root.absolute().joinpath(file.name).as_posix(): file for file in files}
            archive.extract(path=root.absolute(), factory=_Factory(places, create, stack))


class _Factory:
    """Gives py7zr, which pushes what it unpacks, the output for each of its names."""

    def __init__(self, files: dict[str, Member], create: Create, stack: ExitStack) -> None:
        self._files, self._create, self._stack = files, create, stack

    def create(self, name: str) -> Output:
        self._stack.close()
        return self._stack.enter_context(self._create(self._files[name]))


class _Rar(Reader):
    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Any, list[Any]]]:
        library, blocks = _library("rarfile", self._where), list[Any]()
        with (
            self._program(library, self._where),
            library.RarFile(str(self._path), errors="strict", part_only=True, info_callback=blocks.append) as archive,
        ):
            yield library, archive, blocks

    @contextmanager
    def _program(self, library: Any, where: str) -> Iterator[None]:
        try:
            yield
        except library.RarCannotExec:
            raise ArchiveError(
                "it is compressed, which takes a program to unpack, and none was found", where=where,
                expected="unrar, unar, 7z or bsdtar", cure=f"install one of them, or {BY_HAND}",
            ) from None  # fmt: skip

    def members(self) -> Generator[Member, None, None]:
        with self._open() as (library, archive, blocks):
            if archive.needs_password():
                self._refuse("list of members", "it is encrypted")
            if not blocks or blocks[-1].type != library.RAR_BLOCK_ENDARC:
                self._refuse("list of members", "it is cut short", cure=AGAIN)
            if any(b.flags & library.RAR_MAIN_VOLUME for b in blocks if b.type == library.RAR_BLOCK_MAIN):
                self._refuse("list of members", "it is one part of a split archive")
            for item in (block for block in blocks if block.type == library.RAR_BLOCK_FILE):
                name, is_old = item.filename, item.extract_version < 50
                if is_old and not item.flags & library.RAR_FILE_UNICODE:
                    name = self._decode(item.orig_filename).replace("\\", "/")
                if "\ufffd" in name:
                    self._refuse(name, "its name is not in UTF-8", cure=CODE_PAGE)
                if item.file_redir:
                    self._refuse_kind(name, _RAR_LINKS.get(item.file_redir[0], "symbolic link"))
                unix = item.host_os == library.RAR_OS_UNIX
                self._check_mode(name, item.mode if unix else 0, 0 if unix else item.mode)
                if item.flags & library.RAR_FILE_VERSION if is_old else item.file_version:
                    self._refuse_kind(name, "former version of a file")
                if item.CRC is None and item.blake2sp_hash is None and item.file_size:
                    self._refuse(name, "it has no checksum")
                yield self._member(name, item.file_size, item.is_dir(), item.CRC, item)

    def write(self, files: list[Member], create: Create, root: Path) -> None:
        with self._open() as (library, archive, _):
            for member in files:
                with (
                    naming(member.where),
                    self._program(library, member.where),
                    create(member) as output,
                    archive.open(member.source) as data,
                ):
                    while block := data.read(BLOCK):
                        output.write(block)


READERS: Final[dict[str, type[Reader]]] = {
    "zip": _Zip, "tar": _Tar, "tar.gz": _Tar, "tar.bz2": _Tar, "tar.xz": _Tar, "7z": _SevenZip, "rar": _Rar,
}  # fmt: skip


def _library(name: str, where: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ArchiveError(
            f"unpacking it takes the package {name}, which is not installed", where=where,
            cure="pip install 'emoset-speech[archives]', or unpack it yourself and give the folder with --raw",
        ) from None  # fmt: skip
