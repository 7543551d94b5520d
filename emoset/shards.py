"""Shards: Arrow IPC stream files that plain ``datasets`` opens, with the manifest that vouches for them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import platformdirs
import pyarrow as pa

from emoset.errors import DataFolderError
from emoset.schema import SPLITS, arrow_schema
from emoset.staging import write_text

BATCH_ROWS: Final = 100
"""Rows in a record batch: small enough for random access."""

SHARD_BYTES: Final = 256 * 2**20
"""Size at which a shard is closed, far below Arrow's 2 GiB limit of one column."""

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


def default_data_dir() -> Path:
    """The data folder used where none is named: ``$EMOSET_HOME``, else the user's cache."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home) if home else Path(platformdirs.user_cache_dir("emoset"))


class ShardWriter:
    """Writes the rows of one split into ``<split>-00000.arrow`` and so on.

    Args:
        folder: of the configuration; exists.
        split: its name.
        shard_bytes: size at which a shard is closed.
    """

    def __init__(self, folder: Path, split: str, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._split, self._limit = folder, split, shard_bytes
        self._schema = arrow_schema()
        self._rows: list[dict[str, Any]] = []
        self._file: Any = None
        self._stream: Any = None
        self._bytes = 0
        self.paths: list[Path] = []

    def write(self, row: dict[str, Any]) -> None:
        """Add a row: column name to value, as the schema says."""
        self._rows.append(row)
        if len(self._rows) == BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left and bring it to disk."""
        if self._rows:
            self._flush()
        self._close_file()

    def _flush(self) -> None:
        if self._stream is None:
            path = self._folder / f"{self._split}-{len(self.paths):05d}.arrow"
            self.paths.append(path)
            self._file = path.open("wb")
            self._stream = pa.ipc.new_stream(self._file, self._schema)
        batch = pa.RecordBatch.from_pylist(self._rows, schema=self._schema)
        self._rows = []
        self._stream.write_batch(batch)
        self._bytes += batch.nbytes
        if self._bytes >= self._limit:
            self._close_file()

    def _close_file(self) -> None:
        if self._stream is None:
            return
        self._stream.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._stream, self._bytes = None, 0


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


def split_hash(rows: Iterator[tuple[str, str, str]]) -> str:
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


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write ``manifest.json`` with its digest: the marker of a complete build."""
    content = {**manifest, "digest": manifest_digest(manifest)}
    write_text(folder / MANIFEST, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


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


def built_configurations(data_dir: Path) -> list[str]:
    """Names of the configurations built into a data folder, alphabetical."""
    if not data_dir.is_dir():
        return []
    return sorted(p.parent.name for p in data_dir.glob(f"*/{MANIFEST}") if not p.parent.name.startswith("."))


def split_names(folder: Path) -> list[str]:
    """The splits that a built configuration has, in order."""
    return [s for s in SPLITS if shard_paths(folder, s)]
