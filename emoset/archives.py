"""Archives: unpacked whole or not at all, and refused aloud where they hold what no corpus needs.

1. What a file is, is read from its content, never from its name.
2. All members are listed and judged before one is written; what is written is counted against what was listed.
3. Only files and folders come out, under names that mean one file on every system. Nothing is skipped, renamed or
   replaced; modes, owners and times are not taken over.
4. Checksums are compared wherever the format has them, which is everywhere but in a plain tar.
5. Archives among the members are unpacked where they lie, by the same rules and shared limits, and removed.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import unicodedata
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from emoset.errors import ArchiveError
from emoset.inflating import kind_of
from emoset.progress import Progress
from emoset.staging import is_staged, put_in_place, staged
from emoset.unpacking import AGAIN, BY_HAND, CODE_PAGE, READERS, Member, Output, naming

_SMALL: Final = 64 << 20
"""Bytes that may come out of however few: silence shrinks a thousandfold, and this fills no disk."""

_SUFFIXES: Final = {
    ".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar.bz2": "tar.bz2", ".tbz2": "tar.bz2",
    ".tar.xz": "tar.xz", ".txz": "tar.xz", ".rar": "rar", ".7z": "7z",
}  # fmt: skip

_WINDOWS_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE)
_WINDOWS_FORBIDDEN: Final = re.compile(r'[<>:"|?*\\]')


@dataclass(frozen=True)
class Limits:
    """What an archive may grow to, with all archives in it.

    The ratio is judged above 64 MiB only, over all that comes out: single files of silence or tables shrink as much
    as those of bombs, but corpora as a whole do not.

    Args:
        total_bytes: of everything that comes out.
        ratio: of that to the size of the archive.
        members: files and folders.
        path_bytes: of a member's path, in UTF-8.
        name_bytes: of each name in it.
        depth: of archives below the first.
    """

    total_bytes: int = 200 << 30
    ratio: float = 200
    members: int = 1_000_000
    path_bytes: int = 1024
    name_bytes: int = 255
    depth: int = 3


_USUAL: Final = Limits()


@dataclass(frozen=True)
class Extracted:
    """What came out of an archive.

    Args:
        files: their number.
        bytes: of all of them.
        digest: sha256, in hex, of the sorted lines ``path<TAB>bytes`` of all of them, in UTF-8.
    """

    files: int
    bytes: int
    digest: str


def archive_kind(path: Path) -> str | None:
    """What kind of archive a file is, by its content.

    Args:
        path: of the file.

    Returns:
        One of zip, tar, tar.gz, tar.bz2, tar.xz, rar and 7z, or None.

    Raises:
        OSError: it cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = Path(folder) / "corpus.zip"
        ...     _ = page.write_text("<html>")
        ...     print(archive_kind(page))
        None
    """
    return kind_of(path)


def extract(
    archive: Path, target: Path, *, encoding: str | None = None, limits: Limits = _USUAL, progress: bool = True
) -> Extracted:
    """Put what an archive holds into a folder, whole or not at all.

    Args:
        archive: the file.
        target: the folder, which must be empty or not there yet.
        encoding: code page of member names that do not say that they are in UTF-8.
        limits: what it may grow to.
        progress: whether to show bars.

    Returns:
        What came out, with a digest of paths and sizes.

    Raises:
        ArchiveError: it is no archive, is damaged, or holds what must not come out; then nothing did.

    Example:
        >>> import tempfile, zipfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "corpus.zip"
        ...     with zipfile.ZipFile(path, "w") as file:
        ...         file.writestr("wav/a.wav", b"RIFF")
        ...     extract(path, Path(folder) / "raw").files
        1
    """
    with naming(archive.name):
        _check_task(archive, target, encoding)
        with staged(target) as root:
            root.mkdir()
            tree = _Tree(root, limits, archive.stat().st_size)
            _unpack(archive, archive.name, tree, "", 0, encoding, progress)
            if hasattr(os, "sync"):  # one call for all: syncing each of many small files takes minutes
                os.sync()
            put_in_place(root, target)
    listing = "".join(f"{path}\t{size}\n" for path, size in sorted(tree.files.items()))
    return Extracted(len(tree.files), sum(tree.files.values()), hashlib.sha256(listing.encode()).hexdigest())


def _check_task(archive: Path, target: Path, encoding: str | None) -> None:
    if not archive.is_file():
        raise ArchiveError("there is no such file", where=str(archive), expected="an archive", cure="check the path")
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise ArchiveError(
            f"something is at {target} already", where=archive.name,
            expected="an empty folder or none", cure="remove it or choose another folder",
        )  # fmt: skip
    if encoding is not None:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ArchiveError(
                f"no code page is called {encoding!r}", where=archive.name, expected="one of Python's codecs"
            ) from None
    if archive_kind(archive) is None:
        with archive.open("rb") as file:
            got, cure = _what_else(file.read(512))
        raise ArchiveError(got, where=archive.name, expected="zip, tar, tar.gz, tar.bz2, tar.xz, rar or 7z", cure=cure)


def _what_else(head: bytes) -> tuple[str, str]:
    """What arrived in place of an archive, by its beginning, and the cure."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "it is empty (0 bytes)", AGAIN
    if text.startswith(b"version https://git-lfs"):
        return "it is a git-LFS pointer, not the archive", "run 'git lfs pull' where it comes from"
    if text.startswith((b"<html", b"<!doctype html", b"<?xml", b"<head")):
        return "it is a web page", f"{AGAIN}; the server sent a page instead"
    if head.startswith(b"MZ"):
        return "it is a Windows program, perhaps an archive that unpacks itself", BY_HAND
    for magic, name in ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz")):
        if head.startswith(magic):
            return f"it is packed by {name}, but holds no tar that can be read", f"{AGAIN}, or {BY_HAND}"
    return "it is no archive that is known here, or damaged from its beginning", f"{AGAIN}, or {BY_HAND}"


def _unpack(archive: Path, where: str, tree: _Tree, folder: str, depth: int, encoding: str | None, show: bool) -> None:
    """Write what an archive holds into a folder of the tree, then what the archives in it hold."""
    kind, before = str(archive_kind(archive)), tree.bytes
    reader = READERS[kind](archive, kind, where, encoding, lambda size: tree.weigh(before + size, where), show)
    with naming(where), closing(reader.members()) as members:
        admitted = [tree.admit(member, folder) for member in members]
    files = [member for member in admitted if not member.is_folder]
    if not files and not depth:
        raise ArchiveError("it holds no files", where=where, cure=AGAIN)
    for member in admitted:
        if member.is_folder:
            (tree.root / member.path).mkdir(parents=True, exist_ok=True)
    with naming(where), Progress(f"unpacking {where}", sum(f.size for f in files), show, in_bytes=True) as bar:
        reader.write(files, lambda member: Output(tree.root / member.path, member, bar), tree.root)
    for file in files:
        place = tree.root / file.path
        if not place.is_file():
            raise ArchiveError("it is listed, but nothing came out", where=file.where, cure=AGAIN)
        nested = next((kind for suffix, kind in _SUFFIXES.items() if file.path.lower().endswith(suffix)), None)
        if nested is None or archive_kind(place) != nested:
            tree.files[file.path] = file.size
            continue
        if depth == tree.limits.depth:
            raise ArchiveError(
                "it is an archive within archives", where=file.where,
                expected=f"at most {depth} levels of them below the first", cure=BY_HAND,
            )  # fmt: skip
        _unpack(place, file.where, tree, file.path.rpartition("/")[0], depth + 1, encoding, show)
        place.unlink()


class _Tree:
    """What was admitted and what stands so far: one for an archive and all archives in it."""

    def __init__(self, root: Path, limits: Limits, packed: int) -> None:
        self.root, self.limits, self._packed = root, limits, packed
        self.files: dict[str, int] = {}
        self.bytes = self._members = 0
        self._allowed = min(limits.total_bytes, max(_SMALL, int(limits.ratio * packed)))
        self._paths: dict[str, tuple[str, bool]] = {}
        self._folders = {""}

    def admit(self, member: Member, folder: str) -> Member:
        """Judge a member by itself and by all others, and give it its path."""
        self._members += 1
        if self._members > self.limits.members:
            raise ArchiveError(f"it is past member {self.limits.members}", where=member.where, cure=BY_HAND)
        if member.size < 0 or (member.is_folder and member.size):
            kind = "folder" if member.is_folder else "file"
            raise ArchiveError(f"it is a {kind} of {member.size} bytes", where=member.where, cure=AGAIN)
        self.bytes += member.size
        self.weigh(self.bytes, member.where)
        member.path = "/".join([folder, *_parts(member, self.limits)]).strip("/")
        if len(member.path.encode()) > self.limits.path_bytes:
            _refuse(member, f"its path is longer than {self.limits.path_bytes} bytes")
        if member.path:
            self._claim(member.path, member)
        return member

    def weigh(self, size: int, where: str) -> None:
        """Refuse growth beyond the limits."""
        if size > self._allowed:
            raise ArchiveError(
                f"with it {size} bytes or more come out of {self._packed}", where=where,
                expected=f"at most {self._allowed}; more may be meant to fill the disk", cure=BY_HAND,
            )  # fmt: skip

    def _claim(self, path: str, member: Member) -> None:
        is_folder = member.is_folder or path != member.path
        parent = path.rpartition("/")[0]
        if parent not in self._folders:
            self._claim(parent, member)
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        seen, was_folder = self._paths.get(folded, (path, is_folder))
        if seen != path:
            _refuse(member, f"{path!r} and {seen!r} differ by case or Unicode form only")
        if is_folder != was_folder:
            _refuse(member, f"{path!r} is a file and a folder at once")
        if not is_folder and folded in self._paths:
            _refuse(member, "it is there twice")
        self._paths[folded] = path, is_folder
        if is_folder:
            self._folders.add(path)


def _parts(member: Member, limits: Limits) -> list[str]:
    """The names of a member's path, from its first folder on."""
    name = member.name.removesuffix("/") if member.is_folder else member.name
    parts = name.split("/")
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise ArchiveError("its name is not in the expected code page", where=member.where, cure=CODE_PAGE)
    if any(unicodedata.category(character) == "Cc" for character in name):
        _refuse(member, "its name holds control characters")
    if name.startswith("/"):
        _refuse(member, "its path is absolute")
    if re.match("[A-Za-z]:", name):
        _refuse(member, "its path begins with a drive letter")
    if ".." in parts:
        _refuse(member, "its path leads out of the folder ('..')")
    while parts and parts[0] == "." and (len(parts) > 1 or member.is_folder):
        del parts[0]  # as in ./wav/a.wav, which is how tar writes wav/a.wav
    for part in parts:
        if part in ("", "."):
            _refuse(member, "its path holds an empty name")
        if match := _WINDOWS_FORBIDDEN.search(part):
            _refuse(member, f"its name holds {match[0]}, which Windows does not allow")
        if part[-1] in ". ":
            _refuse(member, "its name ends with a dot or a space, which Windows does not allow")
        if _WINDOWS_RESERVED.fullmatch(part):
            _refuse(member, "its name means a device on Windows")
        if is_staged(part):
            _refuse(member, "its name is one of work in progress")
        if len(part.encode()) > limits.name_bytes:
            _refuse(member, f"its name is longer than {limits.name_bytes} bytes")
    return parts


def _refuse(member: Member, got: str) -> NoReturn:
    raise ArchiveError(got, where=member.where, expected="a name that means one file on every system", cure=BY_HAND)
