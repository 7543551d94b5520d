"""Verification: whether a data folder is still what was built, byte for byte."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoset.errors import DataFolderError
from emoset.progress import Progress
from emoset.shards import (
    MANIFEST,
    built_configurations,
    file_hash,
    manifest_digest,
    read_manifest,
    read_shard,
    split_hash,
)
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
        cure = "  To do: build what is named again with 'emoset build'; remove what is extra"
        return "\n".join([*lines, "  all as built" if self.ok else cure])


def verify(data_dir: str | Path, corpora: list[str] | None = None, *, progress: bool = True) -> VerifyReport:
    """Check that a data folder holds exactly what was built.

    Every shard is hashed; rows, classes and split are counted again and compared with the manifest, the
    manifest with its own digest, the README with what the manifests say.

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
    missing = [f"{name}/{MANIFEST}" for name in absent]
    extra: list[str] = []
    changed: list[str] = []
    files = 0
    with Progress("verify", len(names), progress) as bar:
        for name in names:
            files += _check(root / name, name, missing, extra, changed)
            bar.advance()
    if corpora is None:
        _check_root(root, names, missing, extra, changed)
    return VerifyReport(root, tuple(names), files, tuple(missing), tuple(extra), tuple(changed))


def _check_root(root: Path, names: list[str], missing: list[str], extra: list[str], changed: list[str]) -> None:
    for path in sorted(root.iterdir()):
        if path.name == README or path.name in names:
            continue
        if path.is_dir() and any(path.glob("*.arrow")) and not path.name.startswith("."):
            missing.append(f"{path.name}/{MANIFEST}: shards without their manifest")
        elif path.name.startswith((".building-", ".old-")):
            extra.append(f"{path.name}: left by an interrupted build")
        else:
            extra.append(path.name)
    if not (root / README).is_file():
        missing.append(f"{README}: run any 'emoset build' to write it again")
    elif not changed and not missing and (root / README).read_text("utf-8") != readme(root):
        changed.append(f"{README}: it does not say what the manifests say")


def _check(folder: Path, name: str, missing: list[str], extra: list[str], changed: list[str]) -> int:
    """Check one configuration; returns the number of files hashed."""
    try:
        manifest = read_manifest(folder)
    except DataFolderError as error:
        changed.append(f"{name}/{MANIFEST}: {error.got}")
        return 0
    if manifest_digest(manifest) != manifest.get("digest"):
        changed.append(f"{name}/{MANIFEST}: its digest differs, it was edited")
        return 0
    shards: dict[str, dict[str, Any]] = manifest["shards"]
    intact = True
    for shard, told in shards.items():
        path = folder / shard
        if not path.is_file():
            missing.append(f"{name}/{shard}")
        elif path.stat().st_size != told["bytes"]:
            changed.append(f"{name}/{shard}: {path.stat().st_size} bytes, not {told['bytes']}")
        elif file_hash(path) != told["sha256"]:
            changed.append(f"{name}/{shard}: its sha256 differs")
        else:
            continue
        intact = False
    known = {MANIFEST, *shards}
    extra += [f"{name}/{p.name}" for p in sorted(folder.iterdir()) if p.name not in known]
    if intact:
        _check_rows(folder, name, manifest, changed)
    return len(shards)


def _check_rows(folder: Path, name: str, manifest: dict[str, Any], changed: list[str]) -> None:
    rows: list[tuple[str, str, str]] = []
    classes: Counter[str] = Counter()
    homes: dict[str, set[str]] = {}
    for shard in manifest["shards"]:
        split = shard.rsplit("-", 1)[0]
        table = read_shard(folder / shard).select(["id", "label", "speaker"])
        for row in table.to_pylist():
            rows.append((row["id"], split, row["label"]))
            classes[row["label"]] += 1
            homes.setdefault(row["speaker"], set()).add(split)
    if dict(classes) != manifest["classes"]:
        changed.append(f"{name}: classes {dict(sorted(classes.items()))}, not {manifest['classes']}")
    if split_hash(iter(rows)) != manifest["split_hash"]:
        changed.append(f"{name}: the split differs from the manifest's split_hash")
    crossing = sorted(s for s, splits in homes.items() if s and len(splits) > 1)
    if crossing and manifest["speaker_independent"]:
        changed.append(f"{name}: speakers in two splits, though independence is claimed: {', '.join(crossing[:5])}")
