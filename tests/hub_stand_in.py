"""A stand-in on this computer for as much of the Hub's HTTP interface as its client uses to publish and to load.

    with HubStandIn() as hub:
        HfApi(endpoint=hub.url, token=hub.token).create_repo("lab/emoset", repo_type="dataset")

It keeps repositories in memory, with their commits; large files go through the LFS batch interface, in one part or in
several, and are kept from the moment they arrived, committed or not. Faults are set on the running object: `refuse`,
`hold`. What was asked for is in `requests`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, unquote, urlsplit

import yaml  # type: ignore[import-untyped]

_LARGE = re.compile(r".*\.(arrow|parquet)")
_ATTRIBUTES = b"*.arrow filter=lfs diff=lfs merge=lfs -text\n*.parquet filter=lfs diff=lfs merge=lfs -text\n"
_LICENCES = {"cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "odbl",
             "gpl-3.0", "mit", "apache-2.0", "other"}  # fmt: skip
_SIZES = {"n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M"}


@dataclass
class Commit:
    """A state of a repository: path to content, and whether it is kept as a large file."""

    oid: str
    title: str
    files: dict[str, tuple[bytes, bool]]


@dataclass
class Repository:
    """A repository with its history."""

    private: bool
    commits: list[Commit] = field(default_factory=list)

    @property
    def files(self) -> dict[str, bytes]:
        """The newest content by path."""
        return {path: content for path, (content, _) in self.commits[-1].files.items()}

    def commit(self, title: str, files: dict[str, tuple[bytes, bool]]) -> Commit:
        """Add a state."""
        told = [title, str(len(self.commits)), *(f"{path} {_git(files[path][0])}" for path in sorted(files))]
        oid = _git("\n".join(told).encode())
        self.commits.append(Commit(oid, title, files))
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        """The state that a revision names."""
        return next((c for c in reversed(self.commits) if revision in ("main", c.oid)), None)


class HubStandIn:
    """The server; use it in a ``with`` statement.

    Args:
        user: whose token is known, and whose namespace may be written to.
        page: entries of a file list in one reply.
        part: bytes above which a large file is uploaded in parts of that size.
    """

    token = "hf_stand_in"  # noqa: S105

    def __init__(self, user: str = "lab", page: int = 4, part: int = 400_000) -> None:
        self.user, self.page, self.part = user, page, part
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.requests: list[tuple[str, str]] = []
        self.refuse: Callable[[str, str], tuple[int, str] | None] = lambda method, path: None
        self.hold: Callable[[str, str], threading.Event | None] = lambda method, path: None
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, method: str, pattern: str) -> int:
        """How many requests there were."""
        return sum(m == method and re.search(pattern, path) is not None for m, path in self.requests)

    def repository(self, name: str) -> Repository:
        """A dataset repository."""
        return self.repositories["datasets", name]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], hub: HubStandIn) -> None:
        self.hub = hub
        super().__init__(address, _Handler)


class _Problem(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        self.status, self.message, self.code = status, message, code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # a reply goes out at once: the client would wait before it acknowledges a part of it
    disable_nagle_algorithm = True
    server: _Server
    routes: ClassVar[list[tuple[str, str, str]]] = [
        ("GET", r"/api/whoami-v2", "whoami"),
        ("POST", r"/api/repos/create", "create"),
        ("POST", r"/api/validate-yaml", "validate"),
        ("GET", r"/api/(datasets|models)/([^/]+/[^/]+)(?:/revision/([^/]+))?", "info"),
        ("GET", r"/api/(datasets)/([^/]+/[^/]+)/tree/([^/]+)(?:/(.+))?", "tree"),
        ("POST", r"/api/(datasets)/([^/]+/[^/]+)/paths-info/([^/]+)", "paths"),
        ("POST", r"/api/(datasets)/([^/]+/[^/]+)/preupload/([^/]+)", "preupload"),
        ("POST", r"/api/(datasets)/([^/]+/[^/]+)/commit/([^/]+)", "commit"),
        ("POST", r"/(datasets)/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
        ("PUT", r"/large/([0-9a-f]{64})", "put"),
        ("PUT", r"/large/([0-9a-f]{64})/(\d+)", "put_part"),
        ("POST", r"/large/([0-9a-f]{64})/complete", "complete"),
        ("POST", r"/large/([0-9a-f]{64})/verify", "verify"),
        ("GET", r"/(datasets)/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
    ]

    def log_message(self, *arguments: object) -> None: ...

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        self.hub, self.body = self.server.hub, self._body()
        address = urlsplit(self.path)
        path, self.query = unquote(address.path), parse_qs(address.query)
        with self.hub.lock:
            self.hub.requests.append((self.command, path))
        if waiting := self.hub.hold(self.command, path):
            waiting.wait(30)
        try:
            if refused := self.hub.refuse(self.command, path):
                raise _Problem(*refused)
            for verb, pattern, name in self.routes:
                if verb == method and (match := re.fullmatch(pattern, path)):
                    getattr(self, f"_{name}")(*match.groups())
                    return
            raise _Problem(404, "no such address")
        except _Problem as problem:
            told = {"error": problem.message}
            headers = {"X-Error-Message": problem.message, **({"X-Error-Code": problem.code} if problem.code else {})}
            self._send(told, problem.status, headers)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _send(self, content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    # who asks, and for what

    def _user(self) -> str | None:
        given = self.headers.get("Authorization")
        if given is None:
            return None
        if given != f"Bearer {self.hub.token}":
            raise _Problem(401, "Invalid credentials in Authorization header")
        return self.hub.user

    def _writer(self, namespace: str) -> None:
        user = self._user()
        if user is None:
            raise _Problem(401, "Invalid username or password.")
        if user != namespace:
            raise _Problem(403, f"You don't have the rights to write under the namespace {namespace}")

    def _repository(self, kind: str, name: str) -> Repository:
        found, user = self.hub.repositories.get((kind, name)), self._user()
        if found is None or (found.private and user != name.partition("/")[0]):
            raise _Problem(404 if user else 401, "Repository not found", "RepoNotFound")
        return found

    def _state(self, kind: str, name: str, revision: str) -> Commit:
        state = self._repository(kind, name).at(revision)
        if state is None:
            raise _Problem(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return state

    # repositories

    def _whoami(self) -> None:
        user = self._user()
        if user is None:
            raise _Problem(401, "Invalid username or password.")
        self._send({"type": "user", "name": user, "orgs": []})

    def _create(self) -> None:
        asked = json.loads(self.body)
        namespace = asked.get("organization") or self.hub.user
        self._writer(namespace)
        kind, name = f"{asked.get('type', 'model')}s", f"{namespace}/{asked['name']}"
        url = f"{self.hub.url}/{'' if kind == 'models' else kind + '/'}{name}"
        if (kind, name) in self.hub.repositories:
            self._send({"error": "You already created this repo", "url": url}, 409)
            return
        made = Repository(private=asked.get("visibility") == "private" or bool(asked.get("private")))
        made.commit("initial commit", {".gitattributes": (_ATTRIBUTES, False)})
        self.hub.repositories[kind, name] = made
        self._send({"url": url, "name": name, "id": "0"})

    def _validate(self) -> None:
        text = json.loads(self.body)["content"]
        match = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
        told, problems = yaml.safe_load(match[1]) if match else {}, []
        licences = told.get("license", [])
        for licence in [licences] if isinstance(licences, str) else licences:
            if licence not in _LICENCES:
                problems.append(f'"license" must be one of {sorted(_LICENCES)}')
        if not set(told.get("size_categories", ())) <= _SIZES:
            problems.append('"size_categories" must be one of those known')
        if not all(re.fullmatch("[a-z]{2,3}", tag) for tag in told.get("language") or ()):
            problems.append('"language" must be ISO 639 codes')
        if problems:
            self._send({"error": "; ".join(problems), "errors": [{"message": p} for p in problems]}, 400)
        else:
            self._send({"errors": [], "warnings": []})

    def _info(self, kind: str, name: str, revision: str | None) -> None:
        state = self._state(kind, name, revision or "main")
        self._send({
            "_id": "0", "id": name, "sha": state.oid, "private": self.hub.repositories[kind, name].private,
            "disabled": False, "gated": False, "downloads": 0, "likes": 0, "tags": [],
            "siblings": [{"rfilename": path} for path in sorted(state.files)],
        })  # fmt: skip

    def _entry(self, path: str, content: bytes, large: bool) -> dict[str, Any]:
        sha256 = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()
        lfs = {"lfs": {"oid": sha256, "size": len(content), "pointerSize": len(pointer)}} if large else {}
        oid = _git(pointer if large else content)
        return {"type": "file", "path": path, "size": len(content), "oid": oid, **lfs}

    def _tree(self, kind: str, name: str, revision: str, folder: str | None) -> None:
        state, prefix = self._state(kind, name, revision), f"{folder}/" if folder else ""
        files = {path: told for path, told in sorted(state.files.items()) if path.startswith(prefix)}
        if folder and not files:
            raise _Problem(404, f"{folder} does not exist", "EntryNotFound")
        deep = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        entries: dict[str, dict[str, Any]] = {}
        for path, (content, large) in files.items():
            below = path.removeprefix(prefix).split("/")
            for depth in range(1, len(below)):
                if deep or depth == 1:
                    inner = prefix + "/".join(below[:depth])
                    entries[inner] = {"type": "directory", "path": inner, "size": 0, "oid": _git(inner.encode())}
            if deep or len(below) == 1:
                entries[path] = self._entry(path, content, large)
        listed, start = list(entries.values()), int(self.query.get("cursor", ["0"])[0])
        end, headers = start + self.hub.page, {}
        if end < len(listed):
            given = "&".join(f"{key}={value[0]}" for key, value in self.query.items() if key != "cursor")
            address = f"{self.hub.url}{urlsplit(self.path).path}?{given}&cursor={end}"
            headers = {"Link": f'<{address}>; rel="next"'}
        self._send(listed[start:end], 200, headers)

    def _paths(self, kind: str, name: str, revision: str) -> None:
        state = self._state(kind, name, revision)
        try:
            asked = json.loads(self.body)["paths"]
        except ValueError:
            asked = parse_qs(self.body.decode())["paths"]
        found = []
        for path in asked:
            if path in state.files:
                found.append(self._entry(path, *state.files[path]))
            elif any(each.startswith(f"{path}/") for each in state.files):
                found.append({"type": "directory", "path": path, "size": 0, "oid": _git(path.encode())})
        self._send(found)

    def _resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        state = self._state(kind, name, revision)
        if path not in state.files:
            raise _Problem(404, "Entry not found", "EntryNotFound")
        content, large = state.files[path]
        etag = hashlib.sha256(content).hexdigest() if large else _git(content)
        headers = {"X-Repo-Commit": state.oid, "ETag": f'"{etag}"', "Accept-Ranges": "bytes",
                   "Content-Type": "application/octet-stream"}  # fmt: skip
        if large:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            self._send(content[start : end + 1], 206, headers)
        else:
            self._send(content, 200, headers)

    # uploads

    def _preupload(self, kind: str, name: str, revision: str) -> None:
        self._writer(name.partition("/")[0])
        state, told = self._state(kind, name, revision), []
        for file in json.loads(self.body)["files"]:
            old = state.files.get(file["path"])
            oid = (hashlib.sha256(old[0]).hexdigest() if old[1] else _git(old[0])) if old else None
            mode = "lfs" if _LARGE.fullmatch(file["path"]) or file["size"] > 10_000_000 else "regular"
            told.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._send({"files": told})

    def _batch(self, kind: str, name: str) -> None:
        self._writer(name.partition("/")[0])
        objects = []
        for asked in json.loads(self.body)["objects"]:
            oid, size = asked["oid"], asked["size"]
            told: dict[str, Any] = {"oid": oid, "size": size}
            if oid not in self.hub.large:
                place, count = f"{self.hub.url}/large/{oid}", -(-size // self.hub.part)
                if count > 1:
                    parts = {str(number): f"{place}/{number}" for number in range(1, count + 1)}
                    upload = {"href": f"{place}/complete", "header": {"chunk_size": str(self.hub.part), **parts}}
                else:
                    upload = {"href": place}
                told["actions"] = {"upload": upload, "verify": {"href": f"{place}/verify"}}
            objects.append(told)
        self._send({"transfer": "basic", "objects": objects})

    def _keep(self, oid: str, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != oid:
            raise _Problem(400, "the content has another hash")
        self.hub.large[oid] = content
        self._send({})

    def _put(self, oid: str) -> None:
        self._keep(oid, self.body)

    def _put_part(self, oid: str, number: str) -> None:
        self.hub.parts.setdefault(oid, {})[int(number)] = self.body
        self._send({}, 200, {"ETag": hashlib.sha256(self.body).hexdigest()})

    def _complete(self, oid: str) -> None:
        parts = self.hub.parts[oid]
        for told in json.loads(self.body)["parts"]:
            if told["etag"] != hashlib.sha256(parts[told["partNumber"]]).hexdigest():
                raise _Problem(400, "a part has another tag")
        self._keep(oid, b"".join(parts[number] for number in sorted(parts)))

    def _verify(self, oid: str) -> None:
        if oid not in self.hub.large:
            raise _Problem(404, "not uploaded")
        self._send({})

    def _commit(self, kind: str, name: str, revision: str) -> None:
        self._writer(name.partition("/")[0])
        with self.hub.lock:
            state = self._state(kind, name, revision)
            files, title = dict(state.files), ""
            for line in self.body.decode().splitlines():
                told = json.loads(line)
                value = told["value"]
                match told["key"]:
                    case "header":
                        title = value["summary"]
                        if value.get("parentCommit") not in (None, state.oid):
                            raise _Problem(412, "A commit has happened since. Please refresh and try again.")
                    case "file":
                        files[value["path"]] = (base64.b64decode(value["content"]), False)
                    case "lfsFile":
                        if value["oid"] not in self.hub.large:
                            raise _Problem(400, f"the content of {value['path']} was not uploaded")
                        files[value["path"]] = (self.hub.large[value["oid"]], True)
                    case "deletedFile":
                        if files.pop(value["path"], None) is None:
                            raise _Problem(404, "A file with this name doesn't exist", "EntryNotFound")
            made = self.hub.repositories[kind, name].commit(title, files)
        self._send({"success": True, "commitOid": made.oid, "commitUrl": f"{self.hub.url}/{kind}/{name}/commit/0"})


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
