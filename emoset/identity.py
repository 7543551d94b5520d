"""Identity: whether what was built here is what others published, recording by recording."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoset.cards import data_files
from emoset.errors import DataFolderError, NotBuiltError
from emoset.forms import read_columns
from emoset.shards import MANIFEST, built_configurations, manifest_digest, read_manifest
from emoset.targets import Remote, Target, facts_of, target_of


@dataclass(frozen=True)
class IdentityReport:
    """How a build differs from a publication.

    Args:
        compared: configurations that both have.
        not_built: configurations that are only published.
        recordings: number of those compared.
        missing, extra, changed: ids, each with what is wrong.
    """

    compared: tuple[str, ...]
    not_built: tuple[str, ...]
    recordings: int
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether each recording of the compared corpora is the published one."""
        return not (self.missing or self.extra or self.changed)

    def __str__(self) -> str:
        lines = [f"{', '.join(self.compared)}: {self.recordings} recordings compared"]
        for kind in ("missing", "extra", "changed"):
            lines += [f"  {kind}: {what}" for what in getattr(self, kind)]
        lines += [f"  not built here: {', '.join(self.not_built)}"] if self.not_built else []
        return "\n".join([*lines, "  all as published" if self.ok else "  this is not the same build"])


def check_identity(data_dir: str | Path, published: str | Path, *, token: str | None = None) -> IdentityReport:
    """Compare a build with a published one, recording by recording, by id, hash, label and split.

    Args:
        data_dir: data folder with what was built here.
        published: folder, or ``hf://datasets/<namespace>/<name>``; recordings need not be there.
        token: to read a private repository with.

    Raises:
        NotBuiltError: nothing is published there, or nothing of it is built here.
        DataFolderError: a published file is not what its manifest says.

    Example:
        >>> import tempfile
        >>> from emoset.publishing import publish
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = publish("emodb", folder, data_dir=data, audio=False, progress=False)
        ...     print(check_identity(data, folder))
        emodb: ... recordings compared
          all as published
    """
    root, target = Path(data_dir), target_of(published, token=token, progress=False)
    manifests = published_manifests(target, target.files())
    if not manifests:
        raise NotBuiltError("nothing is published there", where=target.address, expected="what 'emoset publish' wrote")
    both = sorted(set(manifests) & set(built_configurations(root)))
    if not both:
        raise NotBuiltError(
            "nothing that is published there is built", where=str(root),
            expected=f"one of {', '.join(manifests)}", cure="run 'emoset build' first",
        )  # fmt: skip
    found: dict[str, list[str]] = {"missing": [], "extra": [], "changed": []}
    count = 0
    for name in both:
        here = _rows((split, root / name / file) for split, file in _shards(read_manifest(root / name)["shards"]))
        there = _rows(_fetched(target, name, manifests[name]))
        count += len(here.keys() & there.keys())
        found["missing"] += sorted(there.keys() - here.keys())
        found["extra"] += sorted(here.keys() - there.keys())
        for key in sorted(here.keys() & there.keys()):
            pairs = zip(("sha256", "label", "split"), here[key], there[key], strict=True)
            if clauses := [f"{what} {a}, published {b}" for what, a, b in pairs if a != b]:
                found["changed"].append(f"{key}: {'; '.join(clauses)}")
    not_built = tuple(sorted(set(manifests) - set(both)))
    return IdentityReport(tuple(both), not_built, count, *(tuple(values) for values in found.values()))


def _shards(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name.partition("-")[0], name) for name in names]


def _fetched(target: Target, name: str, manifest: Mapping[str, Any]) -> Iterable[tuple[str, Path]]:
    for split, file in _shards(data_files(manifest)):
        path = target.fetch(f"{name}/{file}")
        if path is None or facts_of(path) != manifest["published"]["files"][file]:
            raise DataFolderError(
                "the published file is missing or not what its manifest says", where=f"{target.address}/{name}/{file}",
                cure="publish it again",
            )  # fmt: skip
        yield split, path


def _rows(files: Iterable[tuple[str, Path]]) -> dict[str, tuple[str, str, str]]:
    rows: dict[str, tuple[str, str, str]] = {}
    for split, path in files:
        for row in read_columns(path, ["id", "sha256", "label"]).to_pylist():
            rows[row["id"]] = (row["sha256"], row["label"], split)
    return rows


def published_manifests(target: Target, there: Mapping[str, Remote]) -> dict[str, dict[str, Any]]:
    """Manifests of the configurations that are published at a target.

    Args:
        target: the folder or repository.
        there: its files.

    Raises:
        DataFolderError: one is not as it was written.
    """
    manifests = {}
    for path in sorted(there):
        name, _, file = path.partition("/")
        if file == MANIFEST and (local := target.fetch(path)) is not None:
            with suppress(ValueError):
                manifest = json.loads(local.read_text("utf-8"))
                if not isinstance(manifest, dict) or not {"published", "card"} <= set(manifest):
                    continue
                if manifest.get("digest") != manifest_digest(manifest):
                    raise DataFolderError(
                        "it was changed by hand, or is damaged", where=f"{target.address}/{path}",
                        cure=f"remove it, and publish {name} again",
                    )  # fmt: skip
                manifests[name] = manifest
    return manifests
