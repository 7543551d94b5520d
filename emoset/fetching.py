"""Fetching: a file gets its name only after its size and hashes match, or nothing is kept.

The order is that of pooch (a temporary file in the target's folder, hash, rename), but on requests alone: pooch's
temporary files do not tell whose they are and are private to one user, it hashes afterwards, knows one hash and no
size, and takes what comes where no hash is known. Resuming, mirrors, the cap and saying what arrived were ours anyway.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final
from urllib.parse import unquote, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from emoset.errors import FetchError
from emoset.staging import staged, sync_folder

_LIMIT, _CHUNK, _HEAD = 64 << 30, 1 << 18, 4096  # bytes of the longest file, of one read, and to tell what arrived
_TIMEOUTS = (10.0, 60.0)  # seconds to wait for a connection, and for each next byte
_WINDOW, _FLOOR = 30.0, 1000.0  # a server that sends fewer bytes per second over so many seconds is given up
_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds before the second try, doubled before each further one
_PROGRESS = 16 << 20  # a try that brought the file so much further is no failure: long files on poor lines arrive too
_sleep = time.sleep
_ERRORS: Final = (OSError, HTTPError, HTTPException)  # of the network; those of requests are OSErrors

_LATER: Final = "check the network and its proxy, and try again later"
_BROWSER: Final = "open the address in a browser: it may want a login or a captcha, or its quota is used up"
_OWNER: Final = "look whether the owners moved or changed the file, and for a newer emoset"
_DISK: Final = "see that the folder is writable and has room, or choose another one"

_MAGIC: Final = {".zip": b"PK", ".gz": b"\x1f\x8b", ".tgz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ",
                 ".7z": b"7z\xbc\xaf", ".rar": b"Rar!", ".wav": b"RIFF", ".flac": b"fLaC"}  # fmt: skip
_PAGE: Final = re.compile(rb"(?is)<(!doctype html|html|head|body|title|script|meta)\b|<(!--|\?xml).*<html\b")
_Advance = Callable[[int], None]


@dataclass(frozen=True)
class Fetched:
    """A file that is there, whole and right.

    Args:
        path: of the file.
        url: address it came from; the first one, where it was there already.
        bytes: its size.
        sha256: its hash.
    """

    path: Path
    url: str
    bytes: int
    sha256: str


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    bytes: int | None = None,
    sha256: str | None = None,
    md5: str | None = None,
    limit: int = _LIMIT,
    attempts: int = 4,
    advance: Callable[[int], None] | None = None,
    session: requests.Session | None = None,
) -> Fetched:
    """Fetch one file, whole and right, or keep nothing.

    A file that stands there already is kept if it is of the known size and hashes, or if none is known; another one is
    replaced as soon as the right one has come.

    Args:
        urls: addresses of the same bytes, in order of preference.
        target: what to call the file; its folder is made if needed.
        bytes: its size, where known.
        sha256: its hash, where known.
        md5: the owner's hash, where that is known.
        limit: bytes above which no file is fetched.
        attempts: failed tries at one address before the next one is asked.
        advance: called with the number of bytes that came, a negative one where the file is begun again.
        session: to fetch with; default: a new one.

    Raises:
        FetchError: no address gave the file; it tells for each one why.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "labels.csv"
        ...     _ = path.write_text("file,label")
        ...     fetch(["https://example.org/labels.csv"], path, bytes=10).bytes
        10
    """
    known = (("bytes", bytes), ("sha256", sha256), ("md5", md5))
    wanted = {name: str(value).lower() for name, value in known if value is not None}
    note, faults = "", list[tuple[str, _Fault]]()
    try:
        if target.is_file() or target.is_dir():
            facts = _facts_of(target, wanted)
            if wanted.items() <= facts.items():
                return Fetched(target, next(iter(urls), ""), int(facts["bytes"]), facts["sha256"])
            note = f" (the file that stands at {target} is another one: {_told(facts)})"
        with staged(target) as path, requests.Session() if session is None else nullcontext(session) as used:
            with path.open("xb", buffering=0) as file:
                arrival = _Arrival(file, target, wanted, limit, advance or (lambda count: None))
                for url in urls:
                    try:
                        facts = _fetch_from(used, url, arrival, attempts)
                        break
                    except _Fault as fault:
                        faults.append((url, fault))
                else:
                    raise _error(faults, target, _told(wanted), note)
            path.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise _disk_error(error, target) from None
    return Fetched(target, url, int(facts["bytes"]), facts["sha256"])


class _Fault(Exception):
    """Why a try, or an address, did not give the file; final where a further try there would not either."""

    def __init__(self, got: str, cure: str, *, final: bool = False, pause: float = -1.0, mark: str = "") -> None:
        self.got, self.cure, self.final, self.pause, self.mark = got, cure, final, pause, mark


def _hashes(wanted: Iterable[str]) -> list[Any]:
    return [hashlib.new(name, usedforsecurity=False) for name in ("sha256", "md5") if name in {"sha256", *wanted}]


def _facts(size: int, hashes: Iterable[Any]) -> dict[str, str]:
    return {"bytes": str(size)} | {each.name: each.hexdigest() for each in hashes}


def _facts_of(path: Path, wanted: Iterable[str]) -> dict[str, str]:
    hashes = _hashes(wanted)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for each in hashes:
                each.update(chunk)
        return _facts(file.tell(), hashes)


def _told(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{value} bytes" if name == "bytes" else f"{name} {value}" for name, value in facts.items())


class _Arrival:
    """A file while it arrives: what is on disk, its running hashes, and what resuming needs."""

    def __init__(self, file: BinaryIO, target: Path, wanted: dict[str, str], limit: int, advance: _Advance) -> None:
        self._file, self.target, self.wanted, self.limit, self._advance = file, target, wanted, limit, advance
        self.expected = int(wanted["bytes"]) if "bytes" in wanted else None
        self.size, self.hashed = 0, bool(wanted.keys() - {"bytes"})

    def start_over(self, url: str, total: int | None = None, validator: str = "", coding: str = "") -> None:
        """Forget all that came; what comes now has a length, a name of its state and a compression, or none."""
        self.url, self.total, self.validator, self.coding, self.resumed = url, total, validator, coding, False
        self._advance(-self.size)
        self._file.seek(0)
        self._file.truncate()
        self._hashes, self.size, self.head = _hashes(self.wanted), 0, b""

    def add(self, chunk: bytes) -> None:
        """Write what came, if the whole can still be the file."""
        self.head += chunk[: _HEAD - len(self.head)]
        cap = min(size for size in (self.total, self.expected, self.limit) if size is not None)
        other = self.total is not None and self.expected not in (None, self.total)
        if other or max(self.size + len(chunk), self.total or 0) > cap:
            wrong = f"the server offers {self.total} bytes" if other else f"it has more than {cap} bytes"
            raise _Fault(*self.objection(wrong), final=cap == self.limit, mark=wrong)
        self._advance(len(chunk))
        self.size += len(chunk)
        for each in self._hashes:
            each.update(chunk)
        try:
            while chunk:
                chunk = chunk[self._file.write(chunk) :]
        except OSError as error:  # told here, for it is not one of the network
            raise _disk_error(error, self.target) from None

    def finish(self) -> dict[str, str]:
        """Bring it to disk and check it, as a whole."""
        os.fsync(self._file.fileno())
        facts = _facts_of(Path(self._file.name), self.wanted) if self.resumed else _facts(self.size, self._hashes)
        right, cut = self.wanted.items() <= facts.items(), self.size < (self.expected or 0)
        wrong = f"the file ends{self.so_far}" if cut else f"another file came: {_told(facts)}"
        got, cure = ("", "") if right and self.hashed else self.objection("" if right else wrong)
        if got:
            raise _Fault(got, cure, mark=facts["sha256"])
        return facts

    @property
    def so_far(self) -> str:
        size = self.expected if self.total is None else self.total
        return f" after {self.size}{'' if size is None else f' of {size}'} bytes"

    def objection(self, wrong: str) -> tuple[str, str]:
        """What is the matter, and the cure: what the first bytes tell, else what is known to be wrong, if anything."""
        self.validator = ""  # no resuming can mend it
        if self.coding:
            return f"the server compressed the file ({self.coding}), though asked not to", _LATER
        if not self.head:
            return "an empty file arrived (0 bytes)", _LATER
        start = self.head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if start.startswith(b"version https://git-lfs"):
            return "a git-LFS pointer arrived, not the file it stands for", "ask the owners for an address of the file"
        suffixes = {PurePosixPath(name).suffix.lower() for name in (self.target.name, unquote(urlsplit(self.url).path))}
        if _PAGE.match(start) and not suffixes & {".html", ".htm"}:
            title = re.search(rb"(?is)<title[^>]*>(.*?)</title>", start)
            return f"a web page arrived, not the file: '{_plain(title[1] if title else start)}'", _BROWSER
        promised = sorted(suffixes & _MAGIC.keys())
        kinds = [suffix for suffix, magic in _MAGIC.items() if self.head.startswith(magic)]
        if not kinds and (promised or (start[:1] in b"{<" and wrong)) and not re.search(rb"[\x00-\x08]", self.head):
            return f"a text arrived, not the file: '{_plain(start)}'", _BROWSER
        if promised and kinds and not {*promised} & {*kinds} and wrong:
            return f"a {kinds[0]} file arrived where the name promises {promised[0]}", _OWNER
        return wrong, _OWNER


def _fetch_from(session: requests.Session, url: str, arrival: _Arrival, attempts: int) -> dict[str, str]:
    """Try one address until the file is there, or it is clear that it will not come."""
    arrival.start_over(url)
    failed, furthest, seen = 0, 0, set[str]()
    while True:
        try:
            _receive(session, arrival)
            return arrival.finish()
        except _Fault as fault:
            failed = 1 if arrival.size - furthest >= _PROGRESS else failed + 1
            furthest = max(furthest, arrival.size)
            # The same wrong bytes twice are no accident of the line: it is another file that the address holds.
            if fault.final or failed >= attempts or fault.mark in seen:
                fault.got += f" ({failed} tries)" if failed > 1 else ""
                raise
            seen |= {fault.mark} - {""}
            pause = _PAUSE * 2 ** (failed - 1) if fault.pause < 0 else fault.pause
        _sleep(min(pause, _LONGEST_PAUSE))


def _receive(session: requests.Session, arrival: _Arrival) -> None:
    """Ask once, and write what comes until it ends."""
    headers, hooks = {"Accept-Encoding": "identity"}, {"response": _check_redirect}
    if arrival.validator and arrival.size:
        headers |= {"Range": f"bytes={arrival.size}-", "If-Range": arrival.validator}
    outer = sys.exc_info()[1]
    try:
        with session.get(arrival.url, headers=headers, stream=True, timeout=_TIMEOUTS, hooks=hooks) as reply:
            _check_reply(reply, arrival, resuming="Range" in headers)
            since, before = time.monotonic(), arrival.size
            # Not read(): it waits until all bytes asked for are there, however slowly they drip. Nothing is decoded.
            while chunk := reply.raw.read1(_CHUNK, decode_content=False):
                arrival.add(chunk)
                if (passed := time.monotonic() - since) >= _WINDOW:
                    if arrival.size - before < _FLOOR * passed:
                        raise _Fault(f"less than {_FLOOR:.0f} bytes per second come{arrival.so_far}", _LATER)
                    since, before = time.monotonic(), arrival.size
    except (requests.TooManyRedirects, ValueError) as error:  # ValueError: the address makes no sense
        raise _Fault(f"the address leads nowhere ({_plain(str(error))})", _OWNER, final=True) from None
    except _ERRORS as error:
        cause: BaseException | None = error
        while cause is not outer and isinstance(cause, _ERRORS):  # the deepest is the plainest
            reason, cause = _plain(str(cause)), cause.__cause__ or cause.__context__
        raise _Fault(f"the connection broke{arrival.so_far} ({reason})", _LATER) from None
    if arrival.total not in (None, arrival.size):
        raise _Fault(f"the connection broke{arrival.so_far}", _LATER)


def _check_redirect(reply: requests.Response, **_: Any) -> None:
    if reply.is_redirect:  # and not followed yet
        reply.raw.close()  # its body would be read to the end, however long
        old, new = (urlsplit(url).scheme for url in (reply.url, urljoin(reply.url, reply.headers["Location"])))
        if new not in ("http", "https") or (old, new) == ("https", "http"):
            raise _Fault(f"the server redirects from {old} to {new}", _OWNER, final=True)


def _check_reply(reply: requests.Response, arrival: _Arrival, resuming: bool) -> None:
    """Refuse a reply that cannot become the file, before its body is read."""
    status = reply.status_code
    if resuming and status in (206, 412, 416):
        if status != 206 or not _continues(reply, arrival):
            arrival.validator = ""
            raise _Fault(f"the server does not go on as asked{arrival.so_far}", _LATER)
        arrival.resumed = True
        return
    if status != 200:
        pause = re.fullmatch("[0-9]{1,9}", reply.headers.get("Retry-After", ""))
        busy = status >= 500 or status in (206, 408, 425, 429)
        cure = _LATER if busy else _BROWSER if status in (401, 402, 403) else _OWNER
        got = f"the server answers {status} {_plain(reply.reason or '')}"
        raise _Fault(got, cure, final=not busy, pause=float(pause[0]) if pause else -1.0)
    codings = [reply.headers.get(name, "").lower() for name in ("Transfer-Encoding", "Content-Encoding")]
    coding = next((_plain(coding) for coding in codings if coding not in ("", "identity", "chunked")), "")
    length = reply.headers.get("Content-Length", "")
    total = int(length) if re.fullmatch("[0-9]{1,18}", length) and not codings[0] else None
    arrival.start_over(arrival.url, total, _validator(reply), coding)
    size = total if arrival.expected is None else arrival.expected
    if size is None and not arrival.hashed and codings[0] != "chunked":
        raise _Fault("the server does not tell the length of the file, which may be cut short unseen", _LATER)
    if min(size or 0, arrival.limit) > (free := shutil.disk_usage(arrival.target.parent).free):
        raise _Fault(f"{size} bytes are needed, and {free} are free on the disk", _DISK, final=True)


def _continues(reply: requests.Response, arrival: _Arrival) -> bool:
    """Whether a partial reply is of the same file, and goes on exactly where the one on disk ends."""
    place = re.fullmatch("bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18})", reply.headers.get("Content-Range", ""))
    if not place or reply.headers.get("Content-Encoding", "identity") != "identity":
        return False
    first, known, arrival.total = int(place[1]), arrival.total, int(place[2])
    return first == arrival.size and known in (None, arrival.total) and _validator(reply) in ("", arrival.validator)


def _validator(reply: requests.Response) -> str:
    """What names the state of the file: no weak tag, nor a date of this second, within which it may change again."""
    tag, modified = reply.headers.get("ETag", ""), reply.headers.get("Last-Modified", "")
    return tag if tag.startswith('"') else modified if modified != reply.headers.get("Date") else ""


def _plain(text: str | bytes, length: int | None = 80) -> str:
    """Foreign text, fit for a message. A password that stands in an address is nobody's business."""
    words = re.sub(r"//[^/\s]*@", "//", text if isinstance(text, str) else text.decode(errors="replace")).split()
    return "".join(c if c.isprintable() else " " for c in " ".join(words))[:length]


def _disk_error(error: OSError, target: Path) -> FetchError:
    return FetchError(f"it cannot be written ({error.strerror})", where=str(target), cure=_DISK)


def _error(faults: Sequence[tuple[str, _Fault]], target: Path, wanted: str, note: str) -> FetchError:
    reasons = [f"{_plain(url, None)}: {fault.got}" for url, fault in faults]
    cures = [*(fault.cure for _, fault in faults), f"fetch the file by other means and save it as {target}"]
    got, cure = "; ".join(reasons) or "no address of it is known", "; or ".join(dict.fromkeys(cures))
    return FetchError(got + note, where=str(target), expected=wanted or None, cure=cure)
