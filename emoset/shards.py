"""Shards: Arrow IPC stream files that plain ``datasets`` opens, with the manifest that vouches for them."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import mmap
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypedDict

import platformdirs
import pyarrow as pa

from emoset.errors import DataFolderError
from emoset.schema import SPLITS, arrow_schema
from emoset.staging import write_text

SHARD_BYTES: Final = 256 * 2**20
"""Size at which a shard is closed, far below Arrow's 2 GiB limit of one column."""

CHUNK_BYTES: Final = 4 * 2**20
"""What is written at once."""

ALIGNED: Final = 4096
"""Bytes of a block, in multiples of which is written what goes past the disk cache."""

_PAST_CACHE: Final = getattr(os, "O_DIRECT", 0)
_CANNOT: Final = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)

START: Final = arrow_schema().serialize().to_pybytes()
END: Final = b"\xff\xff\xff\xff\0\0\0\0"
"""How an Arrow stream begins and ends; between these are record batches, each a message of its own."""

MANIFEST: Final = "manifest.json"
FORMAT_VERSION: Final = 1
"""Version of the layout of a built folder; a reader refuses newer ones."""


_REQUIRED: Final = {
    "corpus", "configuration", "title", "recipe_version", "licence", "citation", "speaker_independent", "split_hash",
    "partial", "synthetic", "classes", "splits", "shards",
}  # fmt: skip
"""What every reader of a manifest relies on."""

HOME_VARIABLE: Final = "EMOSET_HOME"
"""Environment variable: the default data folder."""


class FileFacts(TypedDict):
    """What a manifest says of a file."""

    bytes: int
    sha256: str


def default_data_dir() -> Path:
    """The data folder used where none is named: ``$EMOSET_HOME``, else the user's cache."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home) if home else Path(platformdirs.user_cache_dir("emoset"))


class ShardWriter:
    """Writes record batches into ``<split>-00000.arrow`` and so on, and hashes what it writes.

    Threads do both, beside each other and beside the caller; leaving the context waits for them.

    Args:
        folder: of the configuration; exists.
        shard_bytes: size at which a shard is closed.
    """

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._limit = folder, shard_bytes
        self._hashing = ThreadPoolExecutor(1, "emoset-hash")  # one thread: in order
        self._writing = ThreadPoolExecutor(1, "emoset-write")  # likewise
        self._chunk = mmap.mmap(-1, CHUNK_BYTES)
        self._shard: _Shard | None = None
        self._closing: list[Future[None]] = []
        self._count = Counter[str]()
        self.shards: dict[str, FileFacts] = {}

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._hashing.shutdown()
        self._writing.shutdown()

    def write(self, split: str, batches: Iterable[pa.RecordBatch]) -> list[Future[Any]]:
        """Add rows of the schema of `arrow_schema` to a split; they stay together in one shard.

        Returns:
            What raises an error if the rows cannot be written.
        """
        return self.write_messages(split, *(memoryview(batch.serialize()) for batch in batches))

    def write_messages(self, split: str, *messages: memoryview) -> list[Future[Any]]:
        """Add rows that are messages of an Arrow stream already; gives the very bytes that `write` gives.

        Returns:
            What is done when the memory is not needed any more.
        """
        under_way: list[Future[Any]] = []
        if self._shard is not None and not self._shard.path.name.startswith(f"{split}-"):
            self._close()
        for data in filter(len, messages):
            if self._shard is None:
                path = self._folder / f"{split}-{self._count[split]:05d}.arrow"
                self._count[split] += 1
                self._shard = _Shard(path, self._hashing, self._writing, self._chunk)
                self._shard.write(memoryview(START))
            under_way += self._shard.write(data)
        if self._shard is not None and self._shard.size >= self._limit:
            self._close()
        return under_way

    def finish(self) -> None:
        """Bring to disk what was written; then ``shards`` tells of all."""
        self._close()
        for closed in self._closing:
            closed.result()
        self.shards = dict(sorted(self.shards.items()))

    def _close(self) -> None:
        if self._shard is not None:
            self._shard.write(memoryview(END))
            self._closing.append(self._writing.submit(self._finished, self._shard))
        self._shard = None

    def _finished(self, shard: _Shard) -> None:
        self.shards[shard.path.name] = shard.finish()


class _Shard:
    """A file that is hashed and written in order, each in a thread of its own.

    Where the system can, it is written past the disk cache, in large aligned chunks: the copy into the cache costs as
    much as all of the conversion of 16 kHz sources.

    Args:
        path: of the file.
        hashing: the thread that hashes.
        writing: the thread that writes.
        chunk: memory that the writing thread collects bytes in; one shard at a time uses it.
    """

    def __init__(self, path: Path, hashing: Executor, writing: Executor, chunk: mmap.mmap) -> None:
        self.path, self.size = path, 0
        self._hash = hashlib.sha256()
        self._hashing, self._writing = hashing, writing
        self._chunk, self._held, self._written = chunk, 0, 0
        self._file = io.FileIO(path, "wb", opener=_open)
        self._under_way: list[Future[Any]] = []

    def write(self, data: memoryview) -> list[Future[Any]]:
        """Add bytes at the end; done when the memory is not needed any more."""
        both = [self._hashing.submit(self._hash.update, data), self._writing.submit(self._put, data)]
        self.size += len(data)
        self._under_way += both
        return both

    def _put(self, data: memoryview) -> None:
        while len(data):
            part = data[: CHUNK_BYTES - self._held]
            self._chunk[self._held : self._held + len(part)] = part
            self._held += len(part)
            data = data[len(part) :]
            if self._held == CHUNK_BYTES:
                self._empty_chunk()

    def _empty_chunk(self) -> None:
        rest = memoryview(self._chunk)[: self._held]
        while len(rest):  # a write may end early, on a disk that fills up for one
            if len(rest) % ALIGNED or self._written % ALIGNED:
                _use_cache(self._file)
            try:
                done = os.pwrite(self._file.fileno(), rest, self._written)
            except OSError as error:
                if error.errno not in _CANNOT or not _use_cache(self._file):
                    raise
                continue  # a file system that has its own idea of what is aligned
            self._written, rest = self._written + done, rest[done:]
        self._held = 0

    def finish(self) -> FileFacts:
        """Bring it to disk, once all of it is hashed; called by the writing thread."""
        with self._file:
            for part in self._under_way:
                part.result()
            self._empty_chunk()
            os.fsync(self._file.fileno())
        return {"bytes": self.size, "sha256": self._hash.hexdigest()}


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | _PAST_CACHE, 0o666)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return os.open(path, flags, 0o666)


def _use_cache(file: io.FileIO) -> bool:
    """Write through the disk cache from now on; whether that changes anything."""
    if not _PAST_CACHE:
        return False
    import fcntl  # not everywhere where shards are read

    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    fcntl.fcntl(file, fcntl.F_SETFL, flags & ~_PAST_CACHE)
    return bool(flags & _PAST_CACHE)


def read_shard(path: Path) -> pa.Table:
    """A shard as a memory-mapped table.

    Raises:
        DataFolderError: it cannot be read, naming the file.
    """
    try:
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_stream(source).read_all()
    except (pa.ArrowException, OSError) as error:
        raise DataFolderError(
            f"the shard cannot be read ({str(error).splitlines()[0]})",
            where=str(path), cure="build the corpus again with 'emoset build'",
        ) from None  # fmt: skip


def shard_paths(folder: Path, split: str) -> list[Path]:
    """The shards of a split, in order."""
    return sorted(folder.glob(f"{split}-*.arrow"))


def file_hash(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def split_hash(rows: Iterable[tuple[str, str, str]]) -> str:
    """One hash for who is where: sha256 over the sorted lines ``id<TAB>split<TAB>label``.

    Example:
        >>> split_hash(iter([("emodb/03a01Fa", "validation", "happiness")]))[:8]
        '9601ac36'
    """
    lines = sorted("\t".join(row) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """The sha256 of a manifest's canonical JSON without its own ``digest``."""
    content = {k: v for k, v in manifest.items() if k != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``manifest.json`` with its digest, the marker of a complete build, and return what was written."""
    content = {**manifest, "digest": manifest_digest(manifest)}
    write_text(folder / MANIFEST, _readable(content))
    return content


def _readable(content: Mapping[str, Any]) -> str:
    """JSON with a line for each entry of the first two levels: ``json.dumps`` with an indent is many times slower."""
    lines = []
    for name, value in content.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict) and len(text) > 100:
            entries = (f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items())
            text = "{\n" + ",\n".join(entries) + "\n }"
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a built configuration.

    Raises:
        DataFolderError: it is absent, damaged or of a newer format.
    """
    path = folder / MANIFEST
    again = "build the corpus again with 'emoset build'"
    try:
        manifest = json.loads(path.read_text("utf-8"))
        version = int(manifest["format_version"])
    except FileNotFoundError:
        raise DataFolderError(
            "there is no manifest.json", where=str(folder), expected="a built corpus", cure=again
        ) from None
    except (ValueError, KeyError, TypeError, OSError):
        raise DataFolderError("the manifest is damaged", where=str(path), cure=again) from None
    if version > FORMAT_VERSION:
        raise DataFolderError(
            f"it was built in format {version}", where=str(folder), expected=f"format {FORMAT_VERSION} or older",
            cure="upgrade emoset-speech",
        )  # fmt: skip
    lacking = sorted(_REQUIRED - set(manifest))
    if lacking:
        raise DataFolderError(f"the manifest is damaged: it lacks {', '.join(lacking)}", where=str(path), cure=again)
    return dict(manifest)


def files_of(manifest: Mapping[str, Any]) -> dict[str, FileFacts]:
    """The files that belong to a built configuration, besides its manifest."""
    return {**manifest["shards"], **manifest.get("tables", {})}


def built_configurations(data_dir: Path) -> list[str]:
    """Names of the configurations built into a data folder, alphabetical."""
    if not data_dir.is_dir():
        return []
    return sorted(p.parent.name for p in data_dir.glob(f"*/{MANIFEST}") if not p.parent.name.startswith("."))


def split_names(folder: Path) -> list[str]:
    """The splits that a built configuration has, in order."""
    return [s for s in SPLITS if shard_paths(folder, s)]
