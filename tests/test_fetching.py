"""Fetching: whatever a server, the line or the disk does, the right file stands there in the end, or none."""

from __future__ import annotations

import errno
import functools
import hashlib
import io
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bad_server
import pytest
import requests
from requests.adapters import HTTPAdapter

from emoset import fetching
from emoset.errors import FetchError
from emoset.fetching import fetch
from emoset.staging import is_staged, remove_leftovers

pytestmark = pytest.mark.xdist_group("fetching")  # outcomes are shared between tests

FAULTS, BadServer, Reply = bad_server.FAULTS, bad_server.BadServer, bad_server.Reply

BODY = b"PK\x03\x04" + b"".join(hashlib.sha256(bytes([n])).digest() for n in range(250)) * 3
SHA256, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()  # noqa: S324
KNOWN: dict[str, dict[str, Any]] = {
    "nothing": {"limit": 10 * len(BODY)},
    "hash": {"sha256": SHA256, "limit": 10 * len(BODY)},
    "all": {"sha256": SHA256, "md5": MD5, "bytes": len(BODY)},
}


Server = Any  # a BadServer: its module is not on mypy's path
Serve = Callable[..., str]
Play = Callable[[str, str, bool], str]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with BadServer() as running:
        yield running


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Proxies of the surroundings do not matter, and waiting between tries takes no time; it is recorded."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    slept: list[float] = []
    monkeypatch.setattr(fetching, "_sleep", slept.append)
    return slept


@pytest.fixture
def serve(server: Server) -> Serve:
    """Put a reply under an address of its own, and return that."""

    def put(reply: Any, name: str = "x.zip") -> str:
        path = f"/{len(server.replies)}/{name}"
        server.replies[path] = reply
        return str(server.url(path))

    return put


def _asked(server: Server, url: str) -> list[Any]:
    return list(server.asked(url.removeprefix(server.url(""))))


def _outcome(target: Path, urls: list[str], **known: Any) -> str:
    """What became of it: ``right``, ``silently wrong``, or the message. Nothing else may be left."""
    try:
        fetched = fetch(urls, target, **known)
    except FetchError as error:
        assert list(target.parent.iterdir()) == []
        return str(error)
    assert list(target.parent.iterdir()) == [target]
    right = target.read_bytes() == BODY and (fetched.bytes, fetched.sha256) == (len(BODY), SHA256)
    return "right" if right and fetched.url in urls else "silently wrong"


# The faults of servers, one by one.


@pytest.fixture(scope="module")
def play(server: Server) -> Callable[[str, str, bool], str]:
    """What becomes of a download that meets a fault, once or for ever, by what is known of the file."""

    @functools.cache
    def played(name: str, known: str, once: bool) -> str:
        fault, paths = FAULTS[name], [f"/{name}/{known}/{once}/x.zip", f"/{name}/{known}/{once}/mirror/x.zip"]
        server.replies |= {paths[0]: bad_server.faulty(name, BODY, once), paths[1]: Reply(BODY)}
        urls = [server.url(path) for path in paths[: 2 if once and not fault.heals else 1]]
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            if fault.stalls:
                patch.setattr(fetching, "_TIMEOUTS", (2.0, 0.2))
                patch.setattr(fetching, "_WINDOW", 0.1)
            attempts = 2 if fault.stalls and not once else 4
            return _outcome(Path(folder) / "x.zip", urls, attempts=attempts, **KNOWN[known])

    return played


def _visible(name: str) -> list[str]:
    return [known for known in KNOWN if known != "nothing" or not FAULTS[name].unseen]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_for_ever_is_told_and_nothing_is_kept(name: str, play: Play) -> None:
    for known in _visible(name):
        assert re.search(rf"x\.zip: http://127.*{FAULTS[name].says}.* To do: ", play(name, known, False))


@pytest.mark.parametrize("name", FAULTS)
def test_after_a_fault_the_right_file_comes(name: str, play: Play) -> None:
    for known in _visible(name):
        assert play(name, known, True) == "right"


def test_nothing_is_silently_wrong(play: Play) -> None:
    outcomes = Counter(play(n, known, once) for n in FAULTS for known in _visible(n) for once in (False, True))
    assert len(FAULTS) >= 70
    assert outcomes.total() >= 400
    assert outcomes["silently wrong"] == 0


def test_only_a_hash_reveals_what_is_called_unseen(play: Play) -> None:
    for name in (n for n, fault in FAULTS.items() if fault.unseen):
        assert play(name, "nothing", False) == "silently wrong"


# Servers that are right.


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_is_fetched(known: str, chunked: bool, tmp_path: Path, serve: Serve) -> None:
    assert _outcome(tmp_path / "x.zip", [serve(Reply(BODY, chunked=chunked))], **KNOWN[known]) == "right"


def test_the_folder_is_made_and_the_rights_are_the_usual_ones(tmp_path: Path, serve: Serve) -> None:
    target = fetch([serve(Reply(BODY))], tmp_path / "a" / "b" / "x.zip").path
    (tmp_path / "usual").touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_the_server_is_asked_for_the_bytes_as_they_are(server: Server, tmp_path: Path, serve: Serve) -> None:
    url = serve(Reply(BODY))
    fetch([url], tmp_path / "x.zip")
    (asked,) = _asked(server, url)
    assert asked.headers["Accept-Encoding"] == "identity"
    assert "Range" not in asked.headers


def test_a_file_that_is_always_sent_with_its_coding_is_kept_if_the_hash_is_right(tmp_path: Path, serve: Serve) -> None:
    url = serve(Reply(BODY, headers={"Content-Encoding": "x-gzip"}), "x.tar.gz")
    assert _outcome(tmp_path / "x.zip", [url], sha256=SHA256) == "right"


def test_bytes_without_a_length_are_kept_if_the_hash_is_right(tmp_path: Path, serve: Serve) -> None:
    url = serve(Reply(BODY, fault="unframed"))
    assert _outcome(tmp_path / "x.zip", [url], sha256=SHA256) == "right"
    (tmp_path / "x.zip").unlink()
    assert _outcome(tmp_path / "x.zip", [url], bytes=len(BODY)) == "right"


def test_chunks_count_more_than_a_length(tmp_path: Path, serve: Serve) -> None:
    url = serve(Reply(BODY, fault="chunked_with_a_length"))
    assert _outcome(tmp_path / "x.zip", [url]) == "right"


def test_the_file_is_on_disk_before_it_gets_its_name(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real = {"fsync": os.fsync, "replace": Path.replace, "sync_folder": fetching.sync_folder}
    for place, name in ((os, "fsync"), (Path, "replace"), (fetching, "sync_folder")):
        monkeypatch.setattr(place, name, lambda *a, name=name: done.append(name) or real[name](*a))
    fetch([serve(Reply(BODY))], tmp_path / "x.zip")
    assert done[:3] == ["fsync", "replace", "sync_folder"]


def test_either_hash_suffices_in_either_case(tmp_path: Path, serve: Serve) -> None:
    for name, known in {"a.zip": {"md5": MD5.upper()}, "b.zip": {"sha256": SHA256.upper()}}.items():
        assert fetch([serve(Reply(BODY))], tmp_path / name, **known).sha256 == SHA256
    with pytest.raises(FetchError, match=f"another file came: {len(BODY)} bytes, .* expected md5 {'0' * 32}"):
        fetch([serve(Reply(BODY))], tmp_path / "c.zip", md5="0" * 32)


def test_redirects_are_followed(tmp_path: Path, serve: Serve) -> None:
    url = serve(Reply(b"", fault="redirect_with_an_endless_body", location=serve(Reply(BODY))))
    assert _outcome(tmp_path / "x.zip", [url]) == "right"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("index.html", b"<!doctype html><html></html>"), ("a.json", b'{"a": 1}'), ("a.xml", b"<?xml version='1.0'?>"),
        ("a.csv", b"file,label"), ("noname", b"plain"), ("a.zip", b"Rar!\x1a\x07\x01\0"), ("a.tar.gz", b"\x1f\x8b8"),
    ],
)  # fmt: skip
def test_where_no_hash_is_known_only_what_cannot_be_the_file_is_refused(
    name: str, data: bytes, tmp_path: Path, serve: Serve
) -> None:
    assert fetch([serve(Reply(data), name)], tmp_path / name).path.read_bytes() == data


# Tries, pauses and mirrors.


def test_pauses_grow_and_a_server_may_ask_for_longer_ones(tmp_path: Path, serve: Serve, pauses: list[float]) -> None:
    with pytest.raises(FetchError, match=r"500 Internal Server Error \(4 tries\)"):
        fetch([serve(Reply(BODY, fault="status_500"))], tmp_path / "x.zip")
    assert pauses == [0.5, 1.0, 2.0]
    pauses.clear()
    fetch([serve(Reply(BODY, fault="status_503_retry_after", times=1))], tmp_path / "x.zip")
    assert pauses == [1.0]


def test_no_server_may_ask_for_very_long_ones(tmp_path: Path, serve: Serve, pauses: list[float]) -> None:
    fetch([serve(Reply(BODY, fault="status_429_retry_after_a_day", times=1))], tmp_path / "x.zip")
    assert pauses == [60.0]


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_what_no_retry_mends_is_not_retried(code: int, server: Server, tmp_path: Path, serve: Serve) -> None:
    urls = [serve(Reply(BODY, fault=f"status_{code}")), serve(Reply(BODY))]
    assert fetch(urls, tmp_path / "x.zip").url == urls[1]
    assert len(_asked(server, urls[0])) == 1


@pytest.mark.parametrize("known", ["hash", "all"])
@pytest.mark.parametrize("fault", ["flipped_bit", "older_file", "web_page", "endless"])
def test_the_same_wrong_file_is_not_fetched_a_third_time(
    fault: str, known: str, server: Server, tmp_path: Path, serve: Serve
) -> None:
    url = serve(Reply(BODY, fault=fault))
    assert " tries)" in _outcome(tmp_path / "x.zip", [url], attempts=9, **KNOWN[known]) or fault == "endless"
    assert len(_asked(server, url)) <= 2


def test_a_whole_file_that_is_wrong_is_not_resumed(server: Server, tmp_path: Path, serve: Serve) -> None:
    url = serve(Reply(BODY))
    assert "another file came" in _outcome(tmp_path / "x.zip", [url], sha256="0" * 64)
    assert ["Range" in asked.headers for asked in _asked(server, url)] == [False, False]


def test_a_server_that_drips_is_given_up_soon(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_WINDOW", 0.1)
    begun = time.monotonic()
    assert "bytes per second" in _outcome(tmp_path / "x.zip", [serve(Reply(BODY, fault="slow_drip"))], attempts=1)
    assert time.monotonic() - begun < 5


def test_every_address_is_told_and_passwords_are_not(tmp_path: Path, serve: Serve) -> None:
    url = serve(Reply(BODY, fault="web_page"))
    secret = serve(Reply(BODY, fault="status_404")).replace("//", "//me:secret@")
    refused = bad_server.closed_address("/x.zip")
    message = _outcome(tmp_path / "x.zip", [url, secret, refused], sha256=SHA256)
    assert f"{url}: a web page arrived" in message
    assert f"{secret.replace('me:secret@', '')}: the server answers 404" in message
    assert f"{refused}: the connection broke after 0 bytes ([Errno {errno.ECONNREFUSED}] " in message
    assert "(4 tries)" in message
    assert message.endswith(f"or fetch the file by other means and save it as {tmp_path / 'x.zip'}.")


def test_after_a_refused_connection_the_next_address_serves(tmp_path: Path, serve: Serve) -> None:
    urls = [bad_server.closed_address("/x.zip"), serve(Reply(BODY))]
    assert _outcome(tmp_path / "x.zip", urls) == "right"


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "/etc/hostname", "http://", "http://[x", ""]
)
def test_only_addresses_of_the_web_are_asked(url: str, tmp_path: Path) -> None:
    assert "the address leads nowhere" in _outcome(tmp_path / "x.zip", [url])


def test_without_an_address_the_file_must_be_there(tmp_path: Path) -> None:
    assert "no address of it is known" in _outcome(tmp_path / "x.zip", [])
    (tmp_path / "x.zip").write_bytes(BODY)
    assert fetch([], tmp_path / "x.zip", sha256=SHA256).url == ""


def test_no_redirect_leads_from_https_to_http(tmp_path: Path, serve: Serve) -> None:
    class Https(HTTPAdapter):
        """Pretends that the loopback server speaks https."""

        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            assert request.url is not None
            request.url = request.url.replace("https://", "http://")
            response = super().send(request, *args, **kwargs)
            response.url = request.url.replace("http://", "https://")
            return response

    with requests.Session() as session:
        session.mount("https://", Https())
        url = serve(Reply(b"", fault="redirect_with_an_endless_body", location=serve(Reply(BODY))))
        with pytest.raises(FetchError, match="redirects from https to http"):
            fetch([url.replace("http:", "https:")], tmp_path / "x.zip", session=session)
        good = serve(Reply(BODY)).replace("http:", "https:")
        assert fetch([good], tmp_path / "x.zip", session=session).url == good


def test_a_session_is_used_and_left_open(
    server: Server, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = serve(Reply(BODY))
    with requests.Session() as session, monkeypatch.context() as patch:
        patch.setattr(session, "close", lambda: pytest.fail("it is not ours to close"))
        session.headers["Authorization"] = "Bearer me"
        fetch([url], tmp_path / "x.zip", session=session)
    assert _asked(server, url)[0].headers["Authorization"] == "Bearer me"


# Resuming.


def test_what_broke_off_goes_on_where_it_ended(server: Server, tmp_path: Path, serve: Serve) -> None:
    url = serve(Reply(BODY, fault="early_close_40", times=1))
    steps: list[int] = []
    assert _outcome(tmp_path / "x.zip", [url], sha256=SHA256, advance=steps.append) == "right"
    first, second = _asked(server, url)
    assert "Range" not in first.headers
    assert second.headers["Range"] == f"bytes={len(BODY) * 40 // 100}-"
    assert second.headers["If-Range"] == f'"{SHA256[:16]}"'
    assert sum(steps) == len(BODY)
    assert min(steps) >= 0


def test_what_is_begun_again_is_counted_back(tmp_path: Path, serve: Serve) -> None:
    steps: list[int] = []
    url = serve(Reply(BODY, fault="early_close_40_no_ranges", times=1, ranges=False))
    fetch([url], tmp_path / "x.zip", advance=steps.append)
    assert sum(steps) == len(BODY)
    assert min(steps) == -(len(BODY) * 40 // 100)


@pytest.mark.parametrize("fault", ["weakly_tagged_cut", "cut_in_the_second_of_a_change"])
def test_what_does_not_tell_the_state_of_the_file_is_not_resumed_by(
    fault: str, server: Server, tmp_path: Path, serve: Serve
) -> None:
    url = serve(Reply(BODY, fault=fault, times=1))
    assert _outcome(tmp_path / "x.zip", [url]) == "right"
    assert ["Range" in asked.headers for asked in _asked(server, url)] == [False, False]


def test_a_date_is_resumed_by(server: Server, tmp_path: Path, serve: Serve) -> None:
    url = serve(Reply(BODY, fault="dated_cut", times=1))
    assert _outcome(tmp_path / "x.zip", [url]) == "right"
    assert "If-Range" in _asked(server, url)[1].headers


def test_a_resumed_file_is_hashed_again_from_the_disk(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    real = fetching._facts_of
    monkeypatch.setattr(fetching, "_facts_of", lambda path, wanted: hashed.append(path) or real(path, wanted))
    fetch([serve(Reply(BODY))], tmp_path / "x.zip", sha256=SHA256)
    assert hashed == []
    fetch([serve(Reply(BODY, fault="early_close_40", times=1))], tmp_path / "y.zip", sha256=SHA256)
    assert [is_staged(path.name) for path in hashed] == [True]


def test_a_try_that_brings_much_is_no_failure(
    server: Server, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = serve(Reply(BODY, fault="tenth_by_tenth"))
    assert "(2 tries)" in _outcome(tmp_path / "x.zip", [url], sha256=SHA256, attempts=2)
    monkeypatch.setattr(fetching, "_PROGRESS", len(BODY) // 10)
    assert _outcome(tmp_path / "x.zip", [url], sha256=SHA256, attempts=2) == "right"
    assert len(_asked(server, url)) == 2 + 10
    assert "(3 tries)" in _outcome(tmp_path / "y" / "x.zip", [serve(Reply(BODY, fault="early_close_40"))], attempts=3)


# What stands there already.


def test_a_right_file_is_kept_without_asking(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(BODY)
    before = (tmp_path / "x.zip").stat()
    assert _outcome(tmp_path / "x.zip", ["http://127.0.0.1:9/x.zip"], sha256=SHA256, md5=MD5) == "right"
    assert (tmp_path / "x.zip").stat().st_ino == before.st_ino


def test_a_file_of_which_no_hash_is_known_is_kept_if_it_has_the_size(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "x.zip").write_bytes(b"anything")
    assert fetch(["http://127.0.0.1:9/x.zip"], tmp_path / "x.zip").bytes == 8
    assert fetch(["http://127.0.0.1:9/x.zip"], tmp_path / "x.zip", bytes=8).bytes == 8
    assert _outcome(tmp_path / "x.zip", [serve(Reply(BODY))], bytes=len(BODY)) == "right"


def test_a_wrong_file_is_replaced_only_by_the_right_one(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "x.zip").write_bytes(b"wrong")
    with pytest.raises(FetchError, match=r"404 .*the file that stands at .* is another one: 5 bytes, sha256"):
        fetch([serve(Reply(BODY, fault="status_404"))], tmp_path / "x.zip", sha256=SHA256)
    assert (tmp_path / "x.zip").read_bytes() == b"wrong"
    assert _outcome(tmp_path / "x.zip", [serve(Reply(BODY))], sha256=SHA256) == "right"


def test_a_folder_of_that_name_is_told(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "x.zip").mkdir()
    with pytest.raises(FetchError, match=r"cannot be written \(Is a directory\)"):
        fetch([serve(Reply(BODY))], tmp_path / "x.zip")


def test_what_a_killed_run_left_is_removed(tmp_path: Path, server: Server) -> None:
    """The process is killed in the middle of the download; the next run does not trust what it left."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.zip").write_bytes(BODY)
    target = tmp_path / "fetched" / "x.zip"
    with bad_server.serve_folder(tmp_path / "served", bandwidth=len(BODY)) as slow:
        child = _fetching_process(slow.url("/x.zip"), target)
        left = _wait_for(lambda: [p for p in target.parent.glob(".*") if p.stat().st_size > 0])
        child.kill()
        child.wait()
        assert [p.name for p in target.parent.iterdir()] == [left[0].name]
        assert is_staged(left[0].name)
        assert remove_leftovers(target.parent) == left  # as every download does first
        slow.bandwidth = None
        assert _outcome(target, [slow.url("/x.zip")], sha256=SHA256) == "right"


def test_control_c_leaves_nothing(tmp_path: Path, serve: Serve) -> None:
    def interrupt(count: int) -> None:
        if count > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch([serve(Reply(BODY))], tmp_path / "x.zip", advance=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.zip").write_bytes(BODY)
    target = tmp_path / "fetched" / "x.zip"
    with bad_server.serve_folder(tmp_path / "served", bandwidth=len(BODY) // 8) as slow:
        child = _fetching_process(slow.url("/x.zip"), target)
        _wait_for(lambda: [p for p in target.parent.glob(".*") if p.stat().st_size > 0])
        child.send_signal(signal.SIGINT)
        assert child.wait() != 0
    assert list(target.parent.iterdir()) == []


def _fetching_process(url: str, target: Path) -> subprocess.Popen[bytes]:
    code = f"from pathlib import Path; from emoset.fetching import fetch; fetch([{url!r}], Path({str(target)!r}), sha256={SHA256!r})"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def _wait_for(condition: Callable[[], list[Path]]) -> list[Path]:
    for _ in range(1000):
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen within 10 s")


def test_eight_threads_fetch_the_same_file_at_once(tmp_path: Path) -> None:
    with BadServer({"/x.zip": Reply(BODY)}, bandwidth=10 * len(BODY)) as slow, ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: fetch([slow.url("/x.zip")], tmp_path / "x.zip", sha256=SHA256), range(8)))
        assert len(slow.requests) == 8
    assert {(f.sha256, f.bytes) for f in got} == {(SHA256, len(BODY))}
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [BODY]


def test_eight_processes_fetch_the_same_file_at_once(tmp_path: Path) -> None:
    with BadServer({"/x.zip": Reply(BODY)}, bandwidth=2 * len(BODY)) as slow:
        children = [_fetching_process(slow.url("/x.zip"), tmp_path / "x.zip") for _ in range(8)]
        assert [child.wait() for child in children] == [0] * 8
        assert len(slow.requests) > 1
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [BODY]


# Disks.


class _File(io.FileIO):
    """A file on a disk that fails, or takes few bytes at a time."""

    number: int | None = None

    def write(self, data: Any) -> int:
        if self.number is not None and self.tell() >= 1000:
            raise OSError(self.number, os.strerror(self.number))
        return super().write(data[:1000])


def _open_with(file: Callable[[str], io.FileIO], patch: pytest.MonkeyPatch) -> None:
    real = Path.open
    patch.setattr(
        Path, "open", lambda self, mode="r", *a, **k: file(str(self)) if mode == "xb" else real(self, mode, *a, **k)
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_midway_is_told(
    number: int, tmp_path: Path, server: Server, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_File, "number", number)
    _open_with(lambda path: _File(path, "x"), monkeypatch)
    url = serve(Reply(BODY))
    message = _outcome(tmp_path / "x.zip", [url, url], sha256=SHA256)
    assert f"x.zip: it cannot be written ({os.strerror(number)})" in message
    assert "To do: see that the folder is writable and has room" in message
    assert len(_asked(server, url)) == 1  # no other address mends a disk


def test_a_disk_that_takes_few_bytes_at_a_time_gets_them_all(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    _open_with(lambda path: _File(path, "x"), monkeypatch)
    assert _outcome(tmp_path / "x.zip", [serve(Reply(BODY))], sha256=SHA256) == "right"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENAMETOOLONG])
def test_a_folder_that_cannot_be_written_to_is_told(
    number: int, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> io.FileIO:
        raise OSError(number, os.strerror(number), path)

    _open_with(refuse, monkeypatch)
    message = _outcome(tmp_path / "x.zip", [serve(Reply(BODY))])
    assert f"x.zip: it cannot be written ({os.strerror(number)})" in message


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_at_the_end_is_told(
    call: str, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fetching.os if call == "fsync" else Path, call, fail)
    assert "it cannot be written (Input/output error)" in _outcome(tmp_path / "x.zip", [serve(Reply(BODY))])


def test_without_room_for_the_whole_nothing_is_begun(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, len(BODY) - 1))
    for known in ({}, {"bytes": len(BODY)}):
        message = _outcome(tmp_path / "x.zip", [serve(Reply(BODY, chunked=bool(known)))], advance=steps.append, **known)
        assert f"{len(BODY)} bytes are needed, and {len(BODY) - 1} are free" in message
    assert not any(steps)


@pytest.mark.parametrize("options", ["size=16k", "ro"])
def test_on_a_real_disk_that_is_full_or_read_only(options: str, tmp_path: Path, serve: Serve) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount")
    try:
        message = _outcome(disk / "x.zip", [serve(Reply(BODY, chunked=True))], sha256=SHA256)
        assert re.search(r"cannot be written \((No space left on device|Read-only file system)\)", message)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# The limit.


def test_a_file_above_the_limit_is_refused_before_it_comes(tmp_path: Path, server: Server, serve: Serve) -> None:
    url, steps = serve(Reply(BODY * 100)), list[int]()
    message = _outcome(tmp_path / "x.zip", [url], sha256=SHA256, limit=99 * len(BODY), advance=steps.append)
    assert f"it has more than {99 * len(BODY)} bytes" in message
    assert not any(steps)
    assert len(_asked(server, url)) == 1
    assert _outcome(tmp_path / "x.zip", [serve(Reply(BODY))], limit=len(BODY)) == "right"


# The server of these tests.


def test_the_healthy_server_knows_ranges_tags_and_dates(tmp_path: Path) -> None:
    (tmp_path / "a b.zip").write_bytes(BODY)
    with bad_server.serve_folder(tmp_path) as running, requests.Session() as session:
        url = running.url("/a%20b.zip")
        whole = session.get(url)
        assert (whole.status_code, whole.content) == (200, BODY)
        for asked, part in (("10-", BODY[10:]), ("10-19", BODY[10:20]), ("-10", BODY[-10:]), ("9-99999999", BODY[9:])):
            for state in (None, whole.headers["ETag"], whole.headers["Last-Modified"]):
                reply = session.get(url, headers={"Range": f"bytes={asked}", "If-Range": state})
                assert (reply.status_code, reply.content) == (206, part)
        assert session.get(url, headers={"Range": "bytes=10-", "If-Range": '"old"'}).content == BODY
        assert session.get(url, headers={"Range": f"bytes={len(BODY)}-"}).status_code == 416
        assert session.head(url).headers["Content-Length"] == str(len(BODY))
        assert session.get(running.url("/../etc/hostname")).status_code == 404
        assert [asked.path for asked in running.requests[:2]] == ["/a b.zip"] * 2


def test_the_server_can_be_slow(tmp_path: Path) -> None:
    with BadServer({"/x": Reply(BODY)}, bandwidth=5 * len(BODY)) as slow:
        begun = time.monotonic()
        assert requests.get(slow.url("/x"), timeout=9).content == BODY
        assert time.monotonic() - begun >= 0.15
