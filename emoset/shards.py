"""Shards: Arrow IPC stream files that plain ``datasets`` opens, with the manifest that vouches for them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypedDict

import platformdirs
import pyarrow as pa

from emoset.errors import DataFolderError
from emoset.schema import SPLITS, arrow_schema
from emoset.staging import write_text

SHARD_BYTES: Final = 256 * 2**20
"""Size at which a shard is closed, far below Arrow's 2 GiB limit of one column."""

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
    """Writes the record batches of one split into ``<split>-00000.arrow`` and so on, and hashes what it writes.

    Args:
        folder: of the configuration; exists.
        split: its name.
        shard_bytes: size at which a shard is closed.
    """

    def __init__(self, folder: Path, split: str, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._split, self._limit = folder, split, shard_bytes
        self._sink: _HashingFile | None = None
        self._stream: Any = None
        self.shards: dict[str, FileFacts] = {}

    def write(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add rows of the schema of `arrow_schema`; they stay together in one shard."""
        for batch in batches:
            sink = self._open()
            if self._stream is None:
                self._stream = pa.ipc.new_stream(_Body(sink), arrow_schema())
            self._stream.write_batch(batch)
        self._close_if_full()

    def write_messages(self, messages: memoryview) -> None:
        """Add rows that are messages of an Arrow stream already; gives the very bytes that `write` gives."""
        if len(messages):
            self._open().write(messages)
        self._close_if_full()

    def _open(self) -> _HashingFile:
        if self._sink is None:
            self._sink = _HashingFile(self._folder / f"{self._split}-{len(self.shards):05d}.arrow")
            self._sink.write(START)
        return self._sink

    def _close_if_full(self) -> None:
        if self._sink is not None and self._sink.size >= self._limit:
            self.close()

    def close(self) -> None:
        """Bring to disk what was written."""
        if self._sink is not None:
            self._sink.write(END)
            self.shards[self._sink.path.name] = self._sink.finish()
        self._sink = self._stream = None


class _Body:
    """A file without the beginning of a stream, which stands there already."""

    closed = False

    def __init__(self, sink: _HashingFile) -> None:
        self._sink, self._left_out = sink, 0

    def write(self, data: bytes) -> int:
        skipped = min(len(START) - self._left_out, len(data))
        self._left_out += skipped
        if skipped < len(data):
            self._sink.write(memoryview(data)[skipped:])
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


class _HashingFile:
    """A file that is hashed while it is written, so that it need not be read for that."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._hash = hashlib.sha256()
        self._file = path.open("wb", buffering=0)

    def write(self, data: bytes | memoryview) -> None:
        with memoryview(data).cast("B") as whole:
            self._hash.update(whole)
            self.size += len(whole)
            written = 0
            while written < len(whole):  # without a buffer a write may end early, on a disk that fills up for one
                written += self._file.write(whole[written:])

    def finish(self) -> FileFacts:
        os.fsync(self._file.fileno())
        self._file.close()
        return {"bytes": self.size, "sha256": self._hash.hexdigest()}


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
