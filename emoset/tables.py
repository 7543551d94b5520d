"""Tables for the documentation, made from the recipes and the vocabulary; ``make docs`` writes them."""

from __future__ import annotations

from pathlib import Path

from emoset.labels import MEANINGS
from emoset.recipe import Recipe
from emoset.registry import COLLECTIONS, get_recipe, list_corpora

CORPORA_PAGE, LABELS_PAGE = "corpora.md", "labels.md"


def write_tables(folder: Path) -> list[Path]:
    """Write the pages ``corpora.md`` and ``labels.md``.

    Args:
        folder: of the documentation.

    Returns:
        The files written.
    """
    pages = {CORPORA_PAGE: corpora_page(), LABELS_PAGE: labels_page()}
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in pages]


def corpora_page() -> str:
    """The page that lists every corpus and variant of the book."""
    rows = [_corpus_row(task) for r in list_corpora() for task in (r, *(get_recipe(v.id) for v in r.variants))]
    members = "\n".join(f"- `{name}` ({len(names)}): {', '.join(names)}" for name, names in COLLECTIONS.items())
    return f"""# The corpora

Made from the recipes by `make docs`. Counts are verified, or in brackets reported by others; `emoset show CORPUS` tells
everything.

| name | corpus | language | kind | access | utterances | speakers | classes | split | may be republished |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{chr(10).join(rows)}

## Collections

{members}

Which corpus of the two EU sets was among the original 26 is not known for certain; this is the likeliest reading. A
text file with one name a line is a collection of your own: `emoset build mine.txt`.
"""


def _corpus_row(task: Recipe) -> str:
    def count(kind: str) -> str:
        verified, reported = getattr(task.expect, kind), getattr(task.published, kind)
        return f"{verified:,}" if verified is not None else f"({reported:,})" if reported is not None else "?"

    split = "official" if task.split.source.startswith("official") else "by hash" if task.split.hashed else "recorded"
    independent = "" if task.split.speaker_independent else ", speakers cross or are unknown"
    cells = (
        f"`{task.configuration}`", task.title, ", ".join(task.languages), task.kind, task.access, count("utterances"),
        count("speakers"), str(len(task.classes) or "?"), split + independent, "yes" if task.redistribute else "no",
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def labels_page() -> str:
    """The page that tells what each class of each corpus means."""
    shared = "\n".join(
        f"| {label} | {m.emotion or '-'} | {m.arousal or '-'} | {m.valence or '-'} |" for label, m in MEANINGS.items()
    )
    rows = []
    for task in (t for r in list_corpora() for t in (r, *(get_recipe(v.id) for v in r.variants))):
        for label in task.classes:
            codes = ", ".join(code for code, name in task.labels.items() if name == label)
            m = task.meaning(label)
            own = " (this corpus's own)" if label in task.meanings else ""
            rows.append(
                f"| `{task.configuration}` | {codes} | {label}{own} | {m.emotion or '-'} | {m.arousal or '-'} "
                f"| {m.valence or '-'} |"
            )
    return f"""# Labels

Made from `emoset/labels.py` and the recipes by `make docs`. A corpus's own codes (`label_raw`) are mapped to class
names (`label`) by its recipe; class names have a shared emotion, arousal and valence in one table. The defaults follow
the custom of binary cross-corpus benchmarks (Schuller et al., IEEE TAC 2010) and, for finer classes, the design of
GEMEP (Baenziger et al., Emotion 2012), both recalled rather than quoted: they are this project's choice. `neutral` is
a valence of its own. A dash says that no honest mapping exists.

## The shared table

| class | emotion | arousal | valence |
| --- | --- | --- | --- |
{shared}

## Every class of every corpus

| corpus | codes | class | emotion | arousal | valence |
| --- | --- | --- | --- | --- | --- |
{chr(10).join(rows)}
"""
