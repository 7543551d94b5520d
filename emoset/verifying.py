"""Verification: whether a data folder is still what was built, byte for byte."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emoset.errors import DataFolderError
from emoset.progress import Progress
from emoset.shards import (
    MANIFEST,
    FileFacts,
    built_configurations,
    file_hash,
    files_of,
    manifest_digest,
    read_manifest,
    read_shard,
    split_hash,
)
from emoset.staging import is_staged
from emoset.stamps import STAMPS, write_stamp
from emoset.summary import README, readme


@dataclass(frozen=True)
class VerifyReport:
    """What was found in a data folder.

    Args:
        data_dir: the folder.
        checked: configurations looked at.
        files: number of files hashed.
        missing, extra, changed: relative paths, each with what is wrong.
    """

    data_dir: Path
    checked: tuple[str, ...]
    files: int
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as it was built."""
        return not (self.missing or self.extra or self.changed)

    def __str__(self) -> str:
        lines = [f"{self.data_dir}: {len(self.checked)} corpora, {self.files} files checked"]
        for kind in ("missing", "extra", "changed"):
            lines += [f"  {kind}: {what}" for what in getattr(self, kind)]
        cure = "  To do: build what is named again with 'emoset build --rebuild'; remove what is extra"
        return "\n".join([*lines, "  all as built" if self.ok else cure])


def verify(data_dir: str | Path, corpora: list[str] | None = None, *, progress: bool = True) -> VerifyReport:
    """Check that a data folder holds exactly what was built.

    Every file is hashed; rows, classes and split are counted again and compared with the manifest, the
    manifest with its own digest, the README with what the manifests say. Audio is not decoded.

    Args:
        data_dir: the data folder.
        corpora: configurations to check; default: all, and whatever else lies in the folder.
        progress: show a progress bar.

    Returns:
        What is missing, extra or changed.

    Raises:
        DataFolderError: there is nothing built in that folder.

    Example:
        >>> verify(data, ["emodb"], progress=False).ok
        True
    """
    root = Path(data_dir)
    names = built_configurations(root)
    folders = {p.name for p in root.iterdir() if p.is_dir()} if root.is_dir() else set()
    if corpora is not None:
        absent = sorted(set(corpora) - set(names))
        names = [n for n in names if n in corpora]
    else:
        absent = []
    if not names and not absent and not folders:
        raise DataFolderError(
            "nothing is built there",
            where=str(root),
            expected="a data folder",
            cure="run 'emoset build' first",
        )
    whole = Findings()
    whole.missing += [f"{name}/{MANIFEST}" for name in absent]
    with Progress("verify", sum(_size(root / name) for name in names), progress, in_bytes=True) as bar:
        for name in names:
            told = check_configuration(root / name, name, bar.advance)
            if not told.problems:
                write_stamp(root, name)
            whole.take(told)
    if corpora is None:
        _check_root(root, names, whole)
    return VerifyReport(root, tuple(names), whole.files, tuple(whole.missing), tuple(whole.extra), tuple(whole.changed))


@dataclass
class Findings:
    """What is missing, extra or changed, and how many files were hashed."""

    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    files: int = 0

    @property
    def problems(self) -> list[str]:
        """All that is wrong, with what is wrong about it."""
        kinds = (("missing", self.missing), ("extra", self.extra), ("changed", self.changed))
        return [f"{kind} {what}" for kind, found in kinds for what in found]

    def take(self, other: Findings) -> None:
        """Add what was found elsewhere."""
        self.missing += other.missing
        self.extra += other.extra
        self.changed += other.changed
        self.files += other.files


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _check_root(root: Path, names: list[str], whole: Findings) -> None:
    for path in sorted(root.iterdir()):
        if path.name in (README, STAMPS, *names):
            continue
        if path.is_dir() and any(path.glob("*.arrow")) and not path.name.startswith("."):
            whole.missing.append(f"{path.name}/{MANIFEST}: shards without their manifest")
        elif is_staged(path.name):
            whole.extra.append(f"{path.name}: left by an interrupted build, or another is at work")
        else:
            whole.extra.append(path.name)
    if not (root / README).is_file():
        whole.missing.append(f"{README}: run any 'emoset build --rebuild' to write it again")
    elif not whole.changed and not whole.missing and (root / README).read_text("utf-8") != readme(root):
        whole.changed.append(f"{README}: it does not say what the manifests say")


def check_configuration(folder: Path, name: str, advance: Callable[[int], None] = lambda size: None) -> Findings:
    """Check one configuration against its manifest.

    Args:
        folder: that holds it.
        name: to begin messages with.
        advance: told the size of each file that has been hashed.
    """
    told = Findings()
    try:
        manifest = read_manifest(folder)
    except DataFolderError as error:
        told.changed.append(f"{name}/{MANIFEST}: {error.got}")
        return told
    if manifest_digest(manifest) != manifest.get("digest"):
        told.changed.append(f"{name}/{MANIFEST}: its digest differs, it was edited")
        return told
    files = files_of(manifest)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as executor:  # hashing lets other threads run
        found = executor.map(lambda file: _check_file(folder / file, files[file], advance), files)
        for file, wrong in zip(files, found, strict=True):
            if wrong == "":
                told.missing.append(f"{name}/{file}")
            elif wrong:
                told.changed.append(f"{name}/{file}: {wrong}")
    intact = not told.problems
    known = {MANIFEST, *files}
    told.extra += [f"{name}/{p.name}" for p in sorted(folder.iterdir()) if p.name not in known]
    told.files = len(files)
    if intact:
        _check_rows(folder, name, manifest, told.changed)
    return told


def _check_file(path: Path, told: FileFacts, advance: Callable[[int], None]) -> str | None:
    """What is wrong with a file; the empty string if it is missing."""
    if not path.is_file():
        return ""
    size = path.stat().st_size
    if size != told["bytes"]:
        return f"{size} bytes, not {told['bytes']}"
    try:
        digest = file_hash(path)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    advance(size)
    return None if digest == told["sha256"] else "its sha256 differs"


def _check_rows(folder: Path, name: str, manifest: dict[str, Any], changed: list[str]) -> None:
    """Count rows, classes and speakers again, and compare them with the manifest; reads no audio."""
    told: list[tuple[str, str, str]] = []
    homes: dict[str, set[str]] = {}
    for shard in manifest["shards"]:
        split = shard.rsplit("-", 1)[0]
        table = read_shard(folder / shard).select(["id", "label", "speaker"])
        labels = table["label"].to_pylist()
        told += zip(table["id"].to_pylist(), [split] * len(labels), labels, strict=True)
        for speaker in table["speaker"].unique().to_pylist():
            homes.setdefault(speaker, set()).add(split)
    classes = dict(sorted(Counter(label for _, _, label in told).items()))
    if classes != manifest["classes"]:
        changed.append(f"{name}: classes {classes}, not {manifest['classes']}")
    if split_hash(told) != manifest["split_hash"]:
        changed.append(f"{name}: the split differs from the manifest's split_hash")
    crossing = sorted(s for s, splits in homes.items() if s and len(splits) > 1)
    if crossing and manifest["speaker_independent"]:
        changed.append(f"{name}: speakers in two splits, though independence is claimed: {', '.join(crossing[:5])}")
