"""What people and machines read of a published dataset: its card, its licences, and its Croissant description."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from huggingface_hub import DatasetCardData

from emoset.recipe import Recipe
from emoset.schema import SPLITS
from emoset.shards import read_shard
from emoset.summary import remarks

LICENCES: Final = "LICENSE.md"

MARK: Final = "<!-- Written by `emoset publish`: the next publication overwrites what is changed here by hand. -->"
"""Line of every card by which it is known again."""

NAME: Final = "EmoSet (speech): speech-emotion corpora in one form"
_ABOUT: Final = (
    "EmoSet (speech) holds recordings of speech with emotion labels, from many corpora in one form. "
    "It is not the image data set of the same name."
)
_LICENCES: Final = {
    "CC0-1.0": "CC0-1.0", "CC BY 4.0": "CC-BY-4.0", "CC BY-SA 4.0": "CC-BY-SA-4.0", "CC BY-NC 4.0": "CC-BY-NC-4.0",
    "CC BY-NC-SA 4.0": "CC-BY-NC-SA-4.0", "CC BY-ND 4.0": "CC-BY-ND-4.0", "CC BY-NC-ND 4.0": "CC-BY-NC-ND-4.0",
    "ODbL 1.0": "ODbL-1.0", "GPL-3.0": "GPL-3.0", "MIT": "MIT", "Apache-2.0": "Apache-2.0",
}  # fmt: skip
"""How recipes name a licence, and its SPDX identifier."""

_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_KEYS: Final = ("label_raw", "label", "emotion", "arousal", "valence")
_DATA_FILE: Final = re.compile(rf"({'|'.join(SPLITS)})-\d{{5}}\.(arrow|parquet)")

Manifests = Mapping[str, Mapping[str, Any]]
"""Manifests as published, by configuration."""


def facts(folder: Path, manifest: Mapping[str, Any], recipe: Recipe | None) -> dict[str, Any]:
    """What a card tells beyond the manifest: the labels as they stand in the shards, and what the recipe knows.

    Args:
        folder: a built configuration.
        manifest: its manifest.
        recipe: of the corpus; None if it is not in the book.
    """
    columns = [*_KEYS, "language", "kind"]
    rows = pa.concat_tables([read_shard(folder / shard).select(columns) for shard in manifest["shards"]])
    labels = (
        rows.group_by(list(_KEYS)).aggregate([([], "count_all")]).rename_columns([*_KEYS, "utterances"]).to_pylist()
    )
    told: dict[str, Any] = {
        "labels": sorted(labels, key=lambda row: (str(row["label"]), str(row["label_raw"]), str(row))),
        "languages": _distinct(rows["language"]),
        "kinds": _distinct(rows["kind"]),
    }
    if recipe is not None:
        told |= {
            "access": recipe.access, "homepage": recipe.homepage, "notes": list(recipe.notes),
            "split_by": recipe.split.by,
        }  # fmt: skip
    return told


def data_files(manifest: Mapping[str, Any], split: str | None = None) -> list[str]:
    """Names of the published data files, or of those of a split."""
    names = [name for name in manifest["published"]["files"] if _DATA_FILE.fullmatch(name)]
    return sorted(name for name in names if split is None or name.startswith(f"{split}-"))


def is_data_file(name: str) -> bool:
    """Whether a file of this name, below a configuration, is one that `publish` writes.

    Example:
        >>> is_data_file("train-00000.parquet"), is_data_file("train.wav")
        (True, False)
    """
    return _DATA_FILE.fullmatch(name) is not None


def licence_id(licence: str) -> str | None:
    """The SPDX identifier of a licence that is stated without ifs and buts, or None.

    Example:
        >>> licence_id("CC BY 4.0, by its Zenodo record"), licence_id("on request from the authors")
        ('CC-BY-4.0', None)
    """
    named = {name for name in _LICENCES if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w.-])", licence)}
    return _LICENCES[named.pop()] if len(named) == 1 and licence.startswith(tuple(named)) else None


def front_matter(manifests: Manifests) -> DatasetCardData:
    """The metadata of a card, by which the Hub finds a dataset and plain ``datasets`` opens it."""
    spdx = [licence_id(m["licence"]) for m in manifests.values()]
    known = sorted({identifier.lower() for identifier in spdx if identifier})
    known = ["odbl" if identifier == "odbl-1.0" else identifier for identifier in known]
    unknown: dict[str, Any] = (
        {"license_name": "licences-of-the-corpora", "license_link": LICENCES} if None in spdx else {}
    )
    languages = {tag.partition("-")[0] for m in manifests.values() for tag in m["card"]["languages"]}
    count = sum(_utterances(m) for m in manifests.values())
    return DatasetCardData(
        pretty_name=NAME,
        language=sorted(tag for tag in languages if re.fullmatch("[a-z]{2,3}", tag)) or None,
        license="other" if unknown else known[0] if len(known) == 1 else known,
        **unknown,
        task_categories=["audio-classification"],
        tags=["speech", "speech-emotion-recognition", "emotion", "audio"]
        + ["synthetic"] * any(m["synthetic"] for m in manifests.values()),
        size_categories=[next((name for limit, name in _SIZES if count < limit), "1M<n<10M")],
        configs=[
            {
                "config_name": name,
                "data_files": [
                    {"split": split, "path": [f"{name}/{file}" for file in data_files(m, split)]}
                    for split in SPLITS if data_files(m, split)
                ],
            }
            for name, m in manifests.items()
        ],
    )  # fmt: skip


def card(manifests: Manifests, address: str) -> str:
    """The dataset card, as Markdown with its metadata.

    Args:
        manifests: of all published configurations.
        address: of the repository, such as ``hf://datasets/lab/emoset``; empty for a folder, which may be moved.
    """
    address = address or "FOLDER"
    where = address.removeprefix("hf://datasets/")
    first = next(iter(manifests))
    overview = [
        (
            f"`{name}`", _text(m["title"]), ", ".join(m["card"]["languages"]), ", ".join(m["card"]["kinds"]),
            _utterances(m), f"{_hours(m):.2f}", len(_speakers(m)) or "unknown",
            " / ".join(str(m["splits"][s]["utterances"]) if s in m["splits"] else "-" for s in SPLITS),
            _text("; ".join(filter(None, (remarks(m), "" if m["published"]["audio"] else "NO AUDIO")))) or "-",
        )
        for name, m in manifests.items()
    ]  # fmt: skip
    titles = (
        "configuration", "corpus", "language", "kind", "utterances", "hours", "speakers", "train / validation / test",
        "remarks",
    )  # fmt: skip
    return "\n\n".join([
        f"---\n{front_matter(manifests).to_yaml()}\n---",
        f"# EmoSet (speech): speech-emotion corpora, not the image data set of the same name\n\n{MARK}",
        _ABOUT + " Every corpus is a configuration, with the same columns and types; absent values are null.",
        *_warnings(manifests),
        _table(titles, overview),
        f'## Load\n\n```python\nfrom datasets import load_dataset\n\nds = load_dataset("{where}", "{first}")\n```',
        f"Recordings: {'; '.join(sorted({_form_of(m) for m in manifests.values()}))}. `label` is the class of the "
        "task, `label_raw` the corpus's own code, `emotion`, `arousal` and `valence` a vocabulary shared by all "
        "corpora; `sha256` is the hash of the samples, the identity of a recording.",
        "## Rebuild and check\n\nWhoever holds a corpus can build the same rows and compare them with these, recording "
        f"by recording:\n\n```console\n$ pip install emoset-speech\n$ emoset build {first} --raw RAW --out data\n```"
        f'\n\n```python\nfrom emoset.identity import check_identity\n\n'
        f'print(check_identity("data", "{address}"))\n```',
        "## Licences\n\nEach corpus has a licence of its own. [LICENSE.md](LICENSE.md) lists them; cite what you use.",
        *(_section(name, m) for name, m in manifests.items()),
    ]) + "\n"  # fmt: skip


def licences(manifests: Manifests) -> str:
    """The text of ``LICENSE.md``: whose licence holds for what."""
    rows = [(f"`{name}/`", _text(m["title"]), _text(m["licence"])) for name, m in manifests.items()]
    return (
        "# Licences of EmoSet (speech)\n\nThe corpora belong to their owners. Each folder is under the licence of its "
        "corpus; labels and splits that others may not pass on either are under it too.\n\n"
        f"{_table(('folder', 'corpus', 'licence'), rows)}\n"
    )


def _warnings(manifests: Manifests) -> Iterable[str]:
    for key, text in (
        ("synthetic", "SYNTHETIC: {} hold no real speech, but generated stand-ins. Results on them mean nothing."),
        ("partial", "PARTIAL: {} lack recordings that were rejected when they were built; counts differ from others'."),
    ):
        if names := [f"`{name}`" for name, m in manifests.items() if m[key]]:
            yield f"> **{text.format(', '.join(names))}**"
    if names := [f"`{name}`" for name, m in manifests.items() if not m["published"]["audio"]]:
        yield (
            f"> **NO AUDIO: of {', '.join(names)} everything but the recordings is here**: labels, splits, hashes. "
            "Their licences may forbid to pass on the recordings; transcripts are left out where they do."
        )


def _form_of(manifest: Mapping[str, Any]) -> str:
    published = manifest["published"]
    if not published["audio"]:
        return "none, only what is told of them, in Parquet"
    kept = {"arrow": "as WAV in Arrow files", "parquet": "as WAV in Parquet", "flac": "as FLAC (lossless) in Parquet"}
    return f"16 kHz mono, 16 bits, {kept[published['form']]}"


def _section(name: str, m: Mapping[str, Any]) -> str:
    known, splits = m["card"], [s for s in SPLITS if s in m["splits"]]
    independent = "No speaker is in two splits." if m["speaker_independent"] else "**Not speaker-independent.**"
    counts = [(_code(c), *(m["splits"][s]["classes"].get(c, 0) for s in splits), n) for c, n in m["classes"].items()]
    labels = [
        (_code(r["label_raw"]), _code(r["label"]), *(_text(r[k] or "-") for k in _KEYS[2:]), r["utterances"])
        for r in known["labels"]
    ]
    lines = [
        ("Languages", ", ".join(known["languages"])), ("Kind", ", ".join(known["kinds"])),
        ("Access", known.get("access")), ("Licence", m["licence"]), ("Cite", m["citation"]),
        ("Recipe", f"{m['corpus']} {m['recipe_version']}"),
        ("Recipe hash", m.get("recipe_hash")), ("Split hash", m["split_hash"]), ("Build", m["published"]["built"]),
    ]  # fmt: skip
    by = known.get("split_by", "split")  # the field that decides; "split" where the corpus tells it itself
    rule = f"Split{'' if by == 'split' else f' by {by}'}; its source: {m.get('split_source', 'the manifest')}"
    excluded = [(_text(reason), len(files), _some(files)) for reason, files in m.get("excluded", {}).items()]
    problems = [*known.get("notes", ()), *m.get("warnings", ())]
    if rejected := m.get("rejected"):
        problems.append(f"{len(rejected)} files were rejected; manifest.json names them")
    return "\n\n".join(filter(None, [
        f"## `{name}`: {_text(m['title'])}",
        "\n".join(f"- {title}: {_text(value)}" for title, value in lines if value)
        + (f"\n- Home: <{home}>" if (home := known.get("homepage")) else ""),
        f"{_text(rule)}. {independent} Speakers: "
        + ", ".join(f"{len(m['splits'][s]['speakers']) or 'unknown'} in {s}" for s in splits) + ".",
        _table(("class", *splits, "all"), counts),
        _table(("code", "class", "emotion", "arousal", "valence", "utterances"), labels),
        "Excluded:\n\n" + _table(("reason", "files", "such as"), excluded) if excluded else "",
        "Known problems and choices:\n\n" + "\n".join(f"- {_text(p)}" for p in problems) if problems else "",
    ]))  # fmt: skip


def _distinct(column: pa.ChunkedArray) -> list[str]:
    return sorted(value for value in column.unique().to_pylist() if value)


def _utterances(manifest: Mapping[str, Any]) -> int:
    return sum(manifest["classes"].values())


def _hours(manifest: Mapping[str, Any]) -> float:
    return float(sum(s["seconds"] for s in manifest["splits"].values()) / 3600)


def _speakers(manifest: Mapping[str, Any]) -> set[str]:
    return {speaker for s in manifest["splits"].values() for speaker in s["speakers"]}


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(map(_code, names[:3])) + ", ..." * (len(names) > 3)


def _text(value: object) -> str:
    """Text that means itself in Markdown, on one line."""
    return re.sub(r"([\\*_\[\]`|])", r"\\\1", " ".join(str(value).split())).replace("<", "&lt;")


def _code(value: object) -> str:
    """Text as code, on one line, also in a table."""
    plain = " ".join(str(value).split()).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    return f"{fence}{plain}{fence}" if len(fence) == 1 else f"{fence} {plain} {fence}"


def _table(titles: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    titles = list(titles)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
