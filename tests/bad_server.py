"""A web server on this computer that misbehaves as real ones do, and one that behaves, to measure downloads by.

    with BadServer({"/x.zip": Reply(data, fault="early_close_50", times=1)}) as server:
        fetch([server.url("/x.zip")], ...)

A fault lasts for the first requests (`times`), or always; after it the server is healthy: it knows ranges, tags and
dates. `FAULTS` lists all faults, for campaigns that count what became of them.
"""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import hashlib
import json
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

_SLICE = 1 << 16
_LONG_AGO = 1_500_000_000
_RANGELESS = "_no_ranges"
_LONGEST = 30.0
"""Seconds after which no fault goes on, should a client wait for ever."""


@dataclass(frozen=True)
class Fault:
    """One way in which a server fails.

    Args:
        act: answers a request wrongly.
        says: regular expression of what a downloader's message should say, were it for ever.
        heals: whether asking the same address again mends it, once it is over.
        requests: it takes to play the fault once.
        unseen: whether nobody can see it who knows neither hash nor size.
        stalls: whether only a limit of time ends it.
    """

    act: Callable[[Exchange], None]
    says: str
    heals: bool = True
    requests: int = 1
    unseen: bool = False
    stalls: bool = False


@dataclass(frozen=True)
class Reply:
    """What is served under a path.

    Args:
        body: the bytes, or the file that holds them.
        fault: name of one of `FAULTS` or `BEHAVIOURS`, or None.
        times: number of first requests that meet the fault; None for all.
        ranges: whether the healthy server knows ranges, tags and dates.
        chunked: whether it sends in chunks, without telling the length.
        headers: further ones of a healthy reply.
        location: where a fault that redirects leads to.
    """

    body: bytes | Path
    fault: str | None = None
    times: int | None = None
    ranges: bool = True
    chunked: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    location: str = ""


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    fault: str | None


class BadServer:
    """The server; a context manager.

    Args:
        replies: path to what is served there.
        folder: whose files are served, healthily, under all other paths.
        bandwidth: bytes per second of each healthy reply; None for all there is.
    """

    def __init__(
        self, replies: Mapping[str, Reply] | None = None, *, folder: Path | None = None, bandwidth: float | None = None
    ) -> None:
        self.replies, self.folder, self.bandwidth = dict(replies or {}), folder, bandwidth
        self.requests: list[Asked] = []
        self.closing = threading.Event()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self._http.server_address[1]}{path}"

    def asked(self, path: str) -> list[Asked]:
        """The requests for a path so far."""
        return [asked for asked in self.requests if asked.path == path]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        reply = self.replies.get(path) or self._file(path)
        with self._lock:
            number = self._counts[path]
            self._counts[path] += 1
            faulty = reply is not None and reply.fault and (reply.times is None or number < reply.times)
            name = reply.fault if reply and faulty else None
            self.requests.append(Asked(handler.command, path, dict(handler.headers.items()), name))
        exchange = Exchange(self, handler, reply or Reply(b""))
        if reply is None:
            exchange.status(404)
        elif name:
            (FAULTS[name].act if name in FAULTS else BEHAVIOURS[name])(exchange)
        else:
            exchange.healthy()

    def _file(self, path: str) -> Reply | None:
        if self.folder is None:
            return None
        file = (self.folder / path.lstrip("/")).resolve()
        return Reply(file) if file.is_file() and file.is_relative_to(self.folder.resolve()) else None


def serve_folder(folder: Path, bandwidth: float | None = None) -> BadServer:
    """A healthy server of a folder's files."""
    return BadServer(folder=folder, bandwidth=bandwidth)


def closed_address(path: str) -> str:
    """An address at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}{path}"


class Exchange:
    """One request and the means to answer it, well or badly."""

    def __init__(self, server: BadServer, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        self.server, self.handler, self.reply = server, handler, reply
        self.begun = time.monotonic()

    @property
    def body(self) -> bytes:
        return self.reply.body if isinstance(self.reply.body, bytes) else self.reply.body.read_bytes()

    @property
    def asked_from(self) -> int | None:
        """The first byte that a request for the rest of the file asks for."""
        match = re.fullmatch(r"bytes=(\d+)-", self.handler.headers.get("Range", ""))
        return int(match[1]) if match else None

    def head(self, status: int, *lines: tuple[str, object]) -> None:
        self.handler.send_response(status)
        for name, value in lines:
            self.handler.send_header(name, str(value))
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        if self.handler.command != "HEAD":
            self.handler.wfile.write(data)

    def whole(self, data: bytes, *lines: tuple[str, object], status: int = 200) -> None:
        """A well-formed reply."""
        self.head(status, ("Content-Length", len(data)), *lines)
        self.write(data)

    def status(self, status: int, *lines: tuple[str, object]) -> None:
        self.whole(f"<html><title>Error {status}</title></html>".encode(), ("Content-Type", "text/html"), *lines,
                   status=status)  # fmt: skip

    def hang_up(self, reset: bool = False) -> None:
        self.handler.close_connection = True
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            socket.close(self.handler.connection.detach())

    def going_on(self) -> Iterator[None]:
        """Until the client has hung up (writing fails then), the server ends, or enough is enough."""
        self.handler.close_connection = True
        while not self.server.closing.is_set() and time.monotonic() - self.begun < _LONGEST:
            yield

    def wait(self) -> None:
        self.handler.close_connection = True
        self.handler.connection.settimeout(_LONGEST)
        with contextlib.suppress(OSError):
            self.handler.connection.recv(1)  # returns when the client hangs up

    def healthy(self) -> None:
        """The right answer."""
        reply = self.reply
        if isinstance(reply.body, bytes):
            size, state, changed = len(reply.body), hashlib.sha256(reply.body).hexdigest()[:16], float(_LONG_AGO)
        else:
            facts = reply.body.stat()
            size, state, changed = facts.st_size, f"{facts.st_mtime_ns:x}-{facts.st_size:x}", facts.st_mtime
        lines: list[tuple[str, object]] = list(reply.headers.items())
        if reply.ranges:
            date = email.utils.formatdate(changed, usegmt=True)
            lines += [("Accept-Ranges", "bytes"), ("ETag", f'"{state}"'), ("Last-Modified", date)]
            asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.handler.headers.get("Range", ""))
            still = self.handler.headers.get("If-Range") in (None, f'"{state}"', date)
            if asked and asked[0] != "bytes=-" and still:
                first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
                last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
                if first > last:
                    self.head(416, ("Content-Range", f"bytes */{size}"), ("Content-Length", 0))
                    return
                place = ("Content-Range", f"bytes {first}-{last}/{size}")
                self.head(206, place, ("Content-Length", last - first + 1), *lines)
                self._send(first, last + 1)
                return
        length = ("Transfer-Encoding", "chunked") if reply.chunked else ("Content-Length", size)
        self.head(200, length, *lines)
        self._send(0, size)

    def _send(self, first: int, end: int) -> None:
        if self.handler.command == "HEAD":
            return
        bandwidth = self.server.bandwidth
        step = max(1, int(bandwidth / 20)) if bandwidth else _SLICE
        with contextlib.ExitStack() as stack:
            file = None if isinstance(self.reply.body, bytes) else stack.enter_context(self.reply.body.open("rb"))
            for at in range(first, end, step):
                stop = min(at + step, end)
                if file is None:
                    data = self.body[at:stop]
                else:
                    file.seek(at)
                    data = file.read(stop - at)
                self.handler.wfile.write(_chunk(data) if self.reply.chunked else data)
                if bandwidth and self.server.closing.wait((stop - at) / bandwidth):
                    self.hang_up()
                    return
        if self.reply.chunked:
            self.handler.wfile.write(_chunk(b""))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    owner: BadServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1], OSError | ValueError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each reply takes 40 ms
    server: _Server

    def do_GET(self) -> None:
        self.server.owner.answer(self)

    def do_HEAD(self) -> None:
        self.server.owner.answer(self)

    def log_message(self, *_: object) -> None:
        pass


FAULTS: dict[str, Fault] = {}
"""Name of a fault to what it does; early closes with and without ranges count one by one."""


def faulty(name: str, body: bytes | Path, once: bool) -> Reply:
    """A reply that plays a fault once and is healthy then, or plays it for ever."""
    times = FAULTS[name].requests if once else None
    return Reply(body, fault=name, times=times, ranges=not name.endswith(_RANGELESS))


BEHAVIOURS: dict[str, Callable[[Exchange], None]] = {}
"""What servers do that is unusual but no fault; `Reply.fault` may name these too."""


def _fault(name: str, says: str, **facts: Any) -> Callable[[Callable[[Exchange], None]], Callable[[Exchange], None]]:
    def register(act: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
        FAULTS[name] = Fault(act, says, **facts)
        return act

    return register


# Connections that end too early.


def _cut(exchange: Exchange, end: int, tag: str = "", ranges: bool = True) -> None:
    """Announce the whole, or the rest asked for, and stop before the byte `end`."""
    size, first = len(exchange.body), exchange.asked_from if ranges else None
    lines: list[tuple[str, object]] = [("Content-Length", size - (first or 0))]
    if ranges:
        lines += [("ETag", tag or f'"{hashlib.sha256(exchange.body).hexdigest()[:16]}"'), ("Accept-Ranges", "bytes")]
    if first is not None:
        lines += [("Content-Range", f"bytes {first}-{size - 1}/{size}")]
    exchange.head(200 if first is None else 206, *lines)
    exchange.write(exchange.body[first or 0 : end])
    exchange.hang_up()


def _early_close(percent: int, ranges: bool) -> None:
    name = f"early_close_{percent}" + _RANGELESS * (not ranges)
    _fault(name, r"the connection broke after \d+ of \d+ bytes")(
        lambda exchange: _cut(exchange, len(exchange.body) * percent // 100, ranges=ranges)
    )


for _percent in range(10, 100, 10):
    _early_close(_percent, ranges=True)
    _early_close(_percent, ranges=False)


@_fault("one_byte_short", r"the connection broke after \d+ of \d+ bytes")
def _one_byte_short(exchange: Exchange) -> None:
    _cut(exchange, len(exchange.body) - 1)


@_fault("length_too_long", r"the connection broke after \d+ of \d+ bytes|the server offers \d+ bytes")
def _length_too_long(exchange: Exchange) -> None:
    exchange.head(200, ("Content-Length", len(exchange.body) + 100))
    exchange.write(exchange.body)
    exchange.hang_up()


@_fault("length_too_short", r"another file came|the server offers \d+ bytes", unseen=True)
def _length_too_short(exchange: Exchange) -> None:
    exchange.head(200, ("Content-Length", len(exchange.body) - 100))
    exchange.write(exchange.body)
    exchange.hang_up()


@_fault("lengths_that_contradict", "leads nowhere", heals=False)
def _lengths_that_contradict(exchange: Exchange) -> None:
    exchange.head(200, ("Content-Length", len(exchange.body)), ("Content-Length", len(exchange.body) - 7))
    exchange.write(exchange.body)
    exchange.hang_up()


@_fault("unframed_cut", "does not tell the length|another file came|the file ends after")
def _unframed_cut(exchange: Exchange) -> None:
    exchange.head(200, ("Connection", "close"))
    exchange.write(exchange.body[:-100])
    exchange.hang_up()


@_fault("length_that_is_no_number", "does not tell the length|another file came|the file ends after")
def _length_that_is_no_number(exchange: Exchange) -> None:
    exchange.head(200, ("Content-Length", "many"))
    exchange.write(exchange.body[:-100])
    exchange.hang_up()


@_fault("chunk_cut", "the connection broke after")
def _chunk_cut(exchange: Exchange) -> None:
    exchange.head(200, ("Transfer-Encoding", "chunked"))
    exchange.write(_chunk(exchange.body[:1000]) + _chunk(exchange.body[1000:])[:500])
    exchange.hang_up()


@_fault("chunks_without_end", "the connection broke after")
def _chunks_without_end(exchange: Exchange) -> None:
    exchange.head(200, ("Transfer-Encoding", "chunked"))
    exchange.write(_chunk(exchange.body[:1000]) + _chunk(exchange.body[1000:-100]))
    exchange.hang_up()


@_fault("chunk_of_garbage", "the connection broke after")
def _chunk_of_garbage(exchange: Exchange) -> None:
    exchange.head(200, ("Transfer-Encoding", "chunked"))
    exchange.write(_chunk(exchange.body[:1000]) + b"zz\r\n" + exchange.body[1000:])
    exchange.hang_up()


@_fault("reset_at_once", "the connection broke after 0")
def _reset_at_once(exchange: Exchange) -> None:
    exchange.hang_up(reset=True)


@_fault("reset_midway", r"the connection broke after \d+")
def _reset_midway(exchange: Exchange) -> None:
    exchange.head(200, ("Content-Length", len(exchange.body)))
    exchange.write(exchange.body[:-100])
    time.sleep(0.02)
    exchange.hang_up(reset=True)


@_fault("no_answer", "the connection broke after 0")
def _no_answer(exchange: Exchange) -> None:
    exchange.hang_up()


@_fault("garbage_status_line", "the connection broke after 0")
def _garbage_status_line(exchange: Exchange) -> None:
    exchange.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n" + exchange.body)
    exchange.hang_up()


@_fault("thousand_headers", "the connection broke after 0")
def _thousand_headers(exchange: Exchange) -> None:
    exchange.head(200, *((f"X-{n}", "x") for n in range(1000)), ("Content-Length", len(exchange.body)))
    exchange.write(exchange.body)
    exchange.hang_up()


# Servers that take their time.


@_fault("slow_drip", "bytes per second", stalls=True)
def _slow_drip(exchange: Exchange) -> None:
    exchange.head(200, ("Content-Length", len(exchange.body)))
    for at, _ in enumerate(exchange.going_on()):
        exchange.write(exchange.body[at : at + 1])
        time.sleep(0.02)


@_fault("stalled_midway", r"the connection broke after \d+ of \d+ bytes \(.*timed out", stalls=True)
def _stalled_midway(exchange: Exchange) -> None:
    exchange.head(200, ("Content-Length", len(exchange.body)))
    exchange.write(exchange.body[:1000])
    exchange.wait()


@_fault("stalled_at_once", r"the connection broke after 0.* \(.*timed out", stalls=True)
def _stalled_at_once(exchange: Exchange) -> None:
    exchange.wait()


@_fault("endless", r"more than \d+ bytes", heals=False)
def _endless(exchange: Exchange) -> None:
    exchange.head(200, ("Transfer-Encoding", "chunked"))
    for _ in exchange.going_on():
        exchange.write(_chunk(exchange.body))


# Statuses.


def _status(status: int, heals: bool, **headers: object) -> None:
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    _fault(f"status_{status}" + "_retry_after" * bool(headers), f"the server answers {status}", heals=heals)(
        lambda exchange: exchange.status(status, *lines)
    )


for _code in (400, 401, 403, 404, 410, 451):
    _status(_code, heals=False)
for _code in (408, 429, 500, 502, 503, 504):
    _status(_code, heals=True)
_status(503, heals=True, Retry_After=1)
_status(204, heals=False)


# Replies that are another thing.


@_fault("web_page", r"a web page arrived.*Sign in &amp; continue")
def _web_page(exchange: Exchange) -> None:
    page = b"\n<!DOCTYPE html>\n<html><head><title>\n Sign in &amp; continue</title></head><body>quota</body></html>"
    exchange.whole(page, ("Content-Type", "text/html"))


@_fault("web_page_of_the_right_size", "a web page arrived")
def _web_page_of_the_right_size(exchange: Exchange) -> None:
    exchange.whole(b"<html><!-- captcha -->".ljust(len(exchange.body)), ("Content-Type", "application/zip"))


@_fault("lfs_pointer", "a git-LFS pointer arrived")
def _lfs_pointer(exchange: Exchange) -> None:
    oid = hashlib.sha256(exchange.body).hexdigest()
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(exchange.body)}\n"
    exchange.whole(text.encode(), ("Content-Type", "text/plain"))


@_fault("json_error", "a text arrived.*quota exceeded")
def _json_error(exchange: Exchange) -> None:
    exchange.whole(json.dumps({"error": "quota exceeded"}).encode(), ("Content-Type", "application/json"))


@_fault("xml_error", "a text arrived.*AccessDenied")
def _xml_error(exchange: Exchange) -> None:
    exchange.whole(b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>')


@_fault("empty_body", "an empty file arrived")
def _empty_body(exchange: Exchange) -> None:
    exchange.whole(b"")


@_fault("gzip_encoded", r"the server compressed the file \(gzip\)")
def _gzip_encoded(exchange: Exchange) -> None:
    exchange.whole(gzip.compress(exchange.body), ("Content-Encoding", "gzip"))


@_fault("gzip_encoded_in_chunks", r"the server compressed the file \(gzip\)")
def _gzip_encoded_in_chunks(exchange: Exchange) -> None:
    exchange.head(200, ("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked"))
    exchange.write(_chunk(gzip.compress(exchange.body)) + _chunk(b""))


@_fault("gzip_as_transfer_encoding", r"the server compressed the file \(gzip, chunked\)|does not tell the length")
def _gzip_as_transfer_encoding(exchange: Exchange) -> None:
    exchange.head(200, ("Transfer-Encoding", "gzip, chunked"))
    exchange.write(_chunk(gzip.compress(exchange.body)) + _chunk(b""))
    exchange.hang_up()


@_fault("flipped_bit", "another file came", unseen=True)
def _flipped_bit(exchange: Exchange) -> None:
    data = bytearray(exchange.body)
    data[len(data) // 2] ^= 1
    exchange.whole(bytes(data))


@_fault("older_file", "another file came|the server offers", unseen=True)
def _older_file(exchange: Exchange) -> None:
    exchange.whole(exchange.body[:100] + exchange.body[200:])


# Resuming: the first reply breaks off, and what is asked to go on goes wrong.


def _in_resuming(name: str, says: str, lie: Callable[[Exchange, int], None], **facts: Any) -> None:
    def act(exchange: Exchange) -> None:
        if exchange.asked_from is None:
            _cut(exchange, len(exchange.body) // 2)
        else:
            lie(exchange, exchange.asked_from)

    _fault(name, says, requests=2, **facts)(act)


def _partial(exchange: Exchange, data: bytes, first: int, total: int, *lines: tuple[str, object]) -> None:
    place = ("Content-Range", f"bytes {first}-{first + len(data) - 1}/{total}")
    exchange.whole(data, place, *lines, status=206)


_BROKE = r"the connection broke after \d+ of \d+ bytes|does not go on as asked"
_in_resuming("range_ignored", _BROKE, lambda x, first: _cut(x, len(x.body) - 10, ranges=False))
_in_resuming("range_refused", _BROKE, lambda x, first: x.status(416))
_in_resuming("state_refused", _BROKE, lambda x, first: x.status(412))
_in_resuming("other_offset", _BROKE, lambda x, first: _partial(x, x.body[first - 9 :], first - 9, len(x.body)))
_in_resuming("other_total", _BROKE, lambda x, first: _partial(x, x.body[first:] + b"more", first, len(x.body) + 4))
_in_resuming("ends_too_soon", _BROKE, lambda x, first: _partial(x, x.body[first:-9], first, len(x.body)))
_in_resuming("other_tag", _BROKE,
             lambda x, first: _partial(x, bytes(len(x.body) - first), first, len(x.body), ("ETag", '"new"')))  # fmt: skip
_in_resuming("place_untold", _BROKE, lambda x, first: x.whole(x.body[first:], status=206))
_in_resuming("place_garbled", _BROKE,
             lambda x, first: x.whole(x.body[first:], ("Content-Range", f"bytes {first}-/*"), status=206))  # fmt: skip
_in_resuming("partial_and_encoded", _BROKE,
             lambda x, first: _partial(x, x.body[first:][::-1], first, len(x.body),
                                       ("Content-Encoding", "br")))  # fmt: skip
_in_resuming("busy_in_between", "the server answers 503", lambda x, first: x.status(503))
_in_resuming("wrong_bytes", _BROKE + "|another file came",
             lambda x, first: _partial(x, x.body[first:][::-1], first, len(x.body)), unseen=True)  # fmt: skip
_in_resuming("from_the_start_under_a_true_place", _BROKE + "|another file came",
             lambda x, first: _partial(x, x.body[: len(x.body) - first], first, len(x.body)), unseen=True)  # fmt: skip


@_fault("changed_after_the_first_half", _BROKE)
def _changed_after_the_first_half(exchange: Exchange) -> None:
    old = Exchange(exchange.server, exchange.handler, Reply(exchange.body[::-1]))
    _cut(old, len(exchange.body) // 2, tag='"old"')


@_fault("partial_unasked", "the server answers 206")
def _partial_unasked(exchange: Exchange) -> None:
    _partial(exchange, exchange.body[100:], 100, len(exchange.body))


# Redirects.


@_fault("redirect_loop", "leads nowhere.*redirects", heals=False)
def _redirect_loop(exchange: Exchange) -> None:
    exchange.whole(b"", ("Location", exchange.handler.path), status=302)


@_fault("redirect_to_a_file", "redirects from http to file", heals=False)
def _redirect_to_a_file(exchange: Exchange) -> None:
    exchange.whole(b"", ("Location", "file:///etc/hostname"), status=302)


@_fault("redirect_to_ftp", "redirects from http to ftp", heals=False)
def _redirect_to_ftp(exchange: Exchange) -> None:
    exchange.whole(b"", ("Location", "ftp://127.0.0.1/x.zip"), status=301)


@_fault("redirect_to_nonsense", "leads nowhere", heals=False)
def _redirect_to_nonsense(exchange: Exchange) -> None:
    exchange.whole(b"", ("Location", "http://[nonsense/x.zip"), status=307)


@_fault("redirect_with_an_endless_body", "leads nowhere.*redirects", heals=False)
def _redirect_with_an_endless_body(exchange: Exchange) -> None:
    """Leads to the reply's `location`, or round and round."""
    exchange.head(302, ("Location", exchange.reply.location or exchange.handler.path), ("Connection", "close"))
    for _ in exchange.going_on():
        exchange.write(bytes(_SLICE))


# What is unusual, but no fault by itself.


def _unframed(exchange: Exchange) -> None:
    """The whole file, ended by the end of the connection."""
    exchange.head(200, ("Connection", "close"))
    exchange.write(exchange.body)
    exchange.hang_up()


def _tenth_by_tenth(exchange: Exchange) -> None:
    """Each connection brings one tenth of the file."""
    size = len(exchange.body)
    _cut(exchange, min(size, (exchange.asked_from or 0) + size // 10 + 1))


def _half(exchange: Exchange, *lines: tuple[str, object]) -> None:
    exchange.head(200, ("Content-Length", len(exchange.body)), *lines)
    exchange.write(exchange.body[: len(exchange.body) // 2])
    exchange.hang_up()


def _chunked_with_a_length(exchange: Exchange) -> None:
    exchange.head(200, ("Transfer-Encoding", "chunked"), ("Content-Length", 9))
    exchange.write(_chunk(exchange.body) + _chunk(b""))


def _cut_in_the_second_of_a_change(exchange: Exchange) -> None:
    date = email.utils.formatdate(usegmt=True)
    head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nLast-Modified: {date}\r\nContent-Length: {len(exchange.body)}\r\n\r\n"
    exchange.write(head.encode() + exchange.body[:1000])
    exchange.hang_up()


BEHAVIOURS |= {
    "cut_in_the_second_of_a_change": _cut_in_the_second_of_a_change,
    "chunked_with_a_length": _chunked_with_a_length,
    "unframed": _unframed,
    "tenth_by_tenth": _tenth_by_tenth,
    "weakly_tagged_cut": lambda exchange: _half(exchange, ("ETag", 'W/"weak"')),
    "dated_cut": lambda exchange: _half(exchange, ("Last-Modified", email.utils.formatdate(_LONG_AGO, usegmt=True))),
    "status_429_retry_after_a_day": lambda exchange: exchange.status(429, ("Retry-After", 24 * 3600)),
}
