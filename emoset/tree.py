"""The raw root: which files lie there, under which names, and which of them are junk by a named rule."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from emoset.errors import RawDataError

JUNK: Final[dict[str, str]] = {
    r"\._.*|__MACOSX|\.DS_Store": "macOS metadata",
    r"(?i:thumbs\.db|desktop\.ini)": "Windows metadata",
    r"\..*": "hidden file or folder",
    r"(?i:(read_?me|licen[cs]e|copying|citation|changelog)(\..*)?)": "document",
    r"(?i:.*\.(md|pdf|rst|docx?))": "document",
}
"""Regular expression of a file's or folder's name to the name of the rule that ignores it, for all corpora."""


class RawTree:
    """The files below a raw root, found once.

    Args:
        root: folder that holds a corpus as distributed, at any depth.

    Attributes:
        files: relative names (NFC, POSIX), sorted.
        irregular: names of pipes, devices and broken links.
        clashes: names that two files have up to Unicode normalisation.
        state: a hash over names, sizes and times; another one means that something may have changed.

    Raises:
        RawDataError: the folder is absent, not a folder, cannot be read or is empty.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.is_dir():
            what = "is a file" if root.exists() else "does not exist"
            raise RawDataError(
                f"the raw folder {what}",
                where=str(root),
                expected="the folder that holds the corpus as distributed",
                cure="give its path with --raw",
            )
        self._renamed: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self.clashes: list[str] = []
        self.irregular: list[str] = []
        state = hashlib.sha256(os.fsencode(root.resolve()))
        self._start = str(root).rstrip(os.sep) + os.sep
        above = len(self._start)
        for entry in _walk(str(root), str(root), frozenset()):
            name = entry.path[above:]
            if not name.isascii() or os.sep != "/":
                # A name in another encoding than UTF-8 is told with its bytes; it could not be written to a manifest.
                name = os.fsencode(name).decode("utf-8", "backslashreplace")
                name = unicodedata.normalize("NFC", name.replace(os.sep, "/"))
            if not entry.is_file():  # a pipe would block whoever reads it
                self.irregular.append(name)
                state.update(b"\0" + os.fsencode(entry.path))
                continue
            status = entry.stat()
            state.update(f"\0{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} ".encode())
            state.update(os.fsencode(entry.path))
            if name in self._sizes:
                self.clashes.append(name)
            if entry.path != self._start + name:  # all paths would be much of a build's memory
                self._renamed[name] = entry.path
            self._sizes[name] = status.st_size
        if not self._sizes:
            raise RawDataError(
                "the raw folder is empty",
                where=str(root),
                expected="audio files",
                cure="give its path with --raw",
            )
        self.files: tuple[str, ...] = tuple(sorted(self._sizes))
        self.state = state.hexdigest()

    def __contains__(self, name: str) -> bool:
        """Whether there is a file with this relative name."""
        return name in self._sizes

    def place(self, name: str) -> str:
        """Where the file with this relative name lies on disk, as text."""
        if name not in self._sizes:
            raise KeyError(name)
        return self._renamed.get(name, self._start + name)

    def size(self, name: str) -> int:
        """The bytes of the file with this relative name."""
        return self._sizes[name]

    @property
    def bytes(self) -> int:
        """What all files have together."""
        return sum(self._sizes.values())

    def path(self, name: str) -> Path:
        """Where the file with this relative name (NFC, POSIX) lies on disk."""
        return Path(self.place(name))

    def text(self, name: str, encoding: str) -> str:
        """The text of a file.

        Raises:
            RawDataError: the bytes are not text of that encoding.
        """
        try:
            return self.path(name).read_bytes().decode(encoding)
        except UnicodeDecodeError as error:
            raise RawDataError(
                f"byte {error.start} is not {encoding}",
                where=name,
                expected=f"text in {encoding}",
                cure="restore the file from the distribution; do not re-save it in an editor",
            ) from None

    def rows(
        self,
        name: str,
        encoding: str,
        delimiter: str,
        columns: Mapping[str, str],
        optional: Mapping[str, str] | None = None,
    ) -> Iterator[tuple[int, dict[str, str]]]:
        """Line number and the wanted columns of each row of a delimited table, stripped of blanks.

        Args:
            name: relative name of the table.
            encoding: of its text.
            delimiter: between columns.
            columns: field name to column title.
            optional: likewise, for columns that may be missing.

        Raises:
            RawDataError: a column is missing, or a row has too few.
        """
        try:
            yield from self._rows(name, encoding, delimiter, columns, optional or {})
        except csv.Error as error:
            raise RawDataError(
                f"it cannot be read as a table ({error})", where=name, cure="restore the file from the distribution"
            ) from None

    def _rows(
        self, name: str, encoding: str, delimiter: str, columns: Mapping[str, str], optional: Mapping[str, str]
    ) -> Iterator[tuple[int, dict[str, str]]]:
        reader = csv.DictReader(io.StringIO(self.text(name, encoding)), delimiter=delimiter)
        titles = [t.strip() for t in reader.fieldnames or ()]
        reader.fieldnames = titles
        missing = sorted(set(columns.values()) - set(titles))
        if missing:
            raise RawDataError(
                f"column {', '.join(missing)} is missing",
                where=name,
                expected=f"columns {', '.join(columns.values())}; found {', '.join(titles) or 'none'}",
                cure="restore the file from the distribution",
            )
        columns = {**{f: c for f, c in optional.items() if c in titles}, **columns}
        for row in reader:
            values = {f: row[c] for f, c in columns.items()}
            if any(v is None for v in values.values()):
                raise RawDataError(
                    "a row has too few columns",
                    where=f"{name}, line {reader.line_num}",
                    expected=f"{len(titles)} columns",
                    cure="restore the file from the distribution",
                )
            yield reader.line_num, {f: v.strip() for f, v in values.items()}


def _walk(folder: str, root: str, above: frozenset[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    """All files below a folder, through links too, but never round in circles; sorted."""
    try:
        status = Path(folder).stat()
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise RawDataError(
            f"the folder cannot be read ({error.strerror})",
            where=os.path.relpath(folder, root),
            cure="mend its permissions",
        ) from None
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry.path, root, above | {here})
        else:
            yield entry


def tail_pattern(regex: str) -> re.Pattern[str]:
    """The expression for the end of a path, from a folder boundary on; what stands before is group ``top_``."""
    return re.compile(rf"(?P<top_>(?:.*?/)??)(?P<tail_>{regex})")


def match_tail(pattern: re.Pattern[str], name: str) -> re.Match[str] | None:
    """Match a relative name; an upper-case suffix (``.WAV``) counts as lower-case."""
    match = pattern.fullmatch(name)
    if match is None and not name.islower():
        suffix = PurePosixPath(name).suffix
        if suffix != suffix.lower():
            match = pattern.fullmatch(name.removesuffix(suffix) + suffix.lower())
    return match


def ignoring_rule(name: str, rules: Mapping[str, str]) -> str | None:
    """The reason of the first rule that names this file.

    A rule is a regular expression: of a file's or folder's name, or, if it has a slash, of the end of a path.
    """
    parts = name.split("/")
    for regex, reason in rules.items():
        pattern = _compiled(regex)
        if match_tail(pattern, name) if "/" in regex else any(map(pattern.fullmatch, parts)):
            return reason
    return None


@cache
def _compiled(rule: str) -> re.Pattern[str]:
    return tail_pattern(rule) if "/" in rule else re.compile(rule)
