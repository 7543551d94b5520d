"""The README.md of a data folder: what plain ``datasets`` opens it by, and what people read first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emoset.errors import DataFolderError
from emoset.schema import SPLITS
from emoset.shards import MANIFEST, built_configurations, read_manifest
from emoset.staging import write_text

README = "README.md"


def write_readme(data_dir: Path) -> None:
    """Write ``README.md`` from the manifests of all built configurations.

    Args:
        data_dir: the data folder.
    """
    # Another build may have come in between reading the manifests and writing: whoever is last sees all of them.
    while True:
        text = readme(data_dir)
        write_text(data_dir / README, text)
        if readme(data_dir) == text:
            return


def readme(data_dir: Path) -> str:
    """The text of the README.md that a data folder must have."""
    manifests = {}
    for name in built_configurations(data_dir):
        try:
            manifests[name] = read_manifest(data_dir / name)
        except DataFolderError:
            if (data_dir / name / MANIFEST).exists():
                raise  # otherwise another build is just replacing it, and will write this file again
    return readme_of(manifests)


def readme_of(manifests: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of the README.md of a data folder with these manifests, by configuration."""
    configs = "\n".join(_config(name, m) for name, m in manifests.items())
    rows = "\n".join(_line(name, m) for name, m in manifests.items())
    papers = "\n".join(f"- `{name}`: {m['citation']} Licence: {m['licence']}." for name, m in manifests.items())
    return f"""---
pretty_name: EmoSet (speech)
tags:
- speech-emotion-recognition
configs:
{configs}
---
# EmoSet (speech): speech-emotion corpora in one form

Built by `emoset` from the corpora as their owners distribute them. Not the image data set of the same name.

| configuration | recipe | utterances | hours | speakers | classes | train / validation / test | remarks |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

Please cite the corpora that you use:

{papers}
"""


def _config(name: str, manifest: Mapping[str, Any]) -> str:
    files = "\n".join(f"  - split: {s}\n    path: {name}/{s}-*.arrow" for s in SPLITS if s in manifest["splits"])
    return f"- config_name: {name}\n  data_files:\n{files}"


def _line(name: str, manifest: Mapping[str, Any]) -> str:
    splits = manifest["splits"]
    hours = sum(s["seconds"] for s in splits.values()) / 3600
    speakers = {speaker for s in splits.values() for speaker in s["speakers"]}
    sizes = " / ".join(str(splits[s]["utterances"]) if s in splits else "-" for s in SPLITS)
    cells = (
        name, manifest["recipe_version"], sum(manifest["classes"].values()), f"{hours:.2f}",
        len(speakers) or "unknown", ", ".join(manifest["classes"]), sizes, remarks(manifest) or "-",
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def remarks(manifest: Mapping[str, Any]) -> str:
    """What a reader must know about a build: partial, synthetic, not speaker-independent."""
    flags = (
        ("PARTIAL: files were rejected", manifest["partial"]),
        ("SYNTHETIC twin, no real speech", manifest["synthetic"]),
        ("not speaker-independent", not manifest["speaker_independent"]),
    )
    return "; ".join(text for text, holds in flags if holds)
