"""Damage to raw corpora: every kind, what must become of it, and the judge that says what did.

A mutant is *harmless* if the build gives the same rows and samples as from the undamaged copy, *reported* if it is
refused or noted with the file's name (or, where a file is gone, with the differing count), and *indexed* if only
the index of the true distribution tells. Anything else passes unseen, which is a defect.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

import emoset
from emoset.errors import EmosetError
from emoset.indexing import load_index, make_index, verify_raw
from emoset.reading import read_raw
from emoset.recipe import Recipe
from emoset.shards import read_shard
from emoset.twins import write_twin

Mutate = Callable[[Path, list[Path], np.random.Generator], "list[str] | None"]
"""Gets the raw root, its audio files and a source of choices; returns names to be told of, or None if it cannot apply."""


def _pick(files: list[Path], rng: np.random.Generator, count: int = 1) -> list[Path]:
    return [files[i] for i in rng.choice(len(files), count, replace=False)]


def _write(data: bytes) -> Mutate:
    def mutate(root: Path, files: list[Path], rng: np.random.Generator) -> list[str]:
        [path] = _pick(files, rng)
        path.write_bytes(data)
        return [path.name]

    return mutate


def _rewrite(subtype: str, channels: int = 1, silent: bool = False) -> Mutate:
    def mutate(root: Path, files: list[Path], rng: np.random.Generator) -> list[str] | None:
        [path] = _pick(files, rng)
        info = soundfile.info(path)
        if info.subtype != "PCM_16" or info.channels != 1:
            return None
        samples, rate = soundfile.read(path, dtype="float32")
        samples = np.repeat((samples * (not silent))[:, None], channels, axis=1)
        soundfile.write(path, samples, rate, format="WAV", subtype=subtype)
        return [path.name]

    return mutate


def _rename(change: Callable[[str], str]) -> Mutate:
    def mutate(root: Path, files: list[Path], rng: np.random.Generator) -> list[str] | None:
        [path] = _pick(files, rng)
        target = path.with_name(change(path.stem) + path.suffix)
        if target.name == path.name:
            return None
        path.rename(target)
        return [path.name, target.name]

    return mutate


def _cut(keep: float) -> Mutate:
    def mutate(root: Path, files: list[Path], rng: np.random.Generator) -> list[str] | None:
        [path] = _pick(files, rng)
        if soundfile.info(path).format not in ("WAV", "AIFF"):
            return None  # lossy streams carry no length to compare with
        data = path.read_bytes()
        path.write_bytes(data[: max(20, int(keep * len(data)))])
        return [path.name]

    return mutate


def _drop(root: Path, files: list[Path], rng: np.random.Generator) -> list[str]:
    [path] = _pick(files, rng)
    path.unlink()
    return [path.name, path.stem]


def _duplicate(root: Path, files: list[Path], rng: np.random.Generator) -> list[str]:
    [path] = _pick(files, rng)
    copy = root / "copy" / path.relative_to(root)
    copy.parent.mkdir(parents=True)
    shutil.copy(path, copy)
    return [path.name]


def _swap(root: Path, files: list[Path], rng: np.random.Generator) -> list[str]:
    a, b = _pick(files, rng, 2)
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)
    return [a.name, b.name]


def _flip(root: Path, files: list[Path], rng: np.random.Generator) -> list[str] | None:
    [path] = _pick(files, rng)
    if soundfile.info(path).format != "WAV":
        return None
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    return [path.name]


def _junk(name: str) -> Mutate:
    def mutate(root: Path, files: list[Path], rng: np.random.Generator) -> list[str]:
        [path] = _pick(files, rng)
        junk = path.with_name(name.format(name=path.name)) if "/" not in name else root / name.format(name=path.name)
        junk.parent.mkdir(parents=True, exist_ok=True)
        junk.write_bytes(b"junk")
        return [junk.name]

    return mutate


def _extra_folder(root: Path, files: list[Path], rng: np.random.Generator) -> list[str]:
    [path] = _pick(files, rng)
    (root / "more").mkdir()
    shutil.copy(path, root / "more" / "something-else.wav")
    return ["something-else.wav"]


def _nest(root: Path, files: list[Path], rng: np.random.Generator) -> list[str]:
    inner = root / "Corpus as downloaded" / "v1"
    inner.mkdir(parents=True)
    for path in list(root.iterdir()):
        if path != inner.parent:
            path.rename(inner / path.name)
    return []


def _decompose(root: Path, files: list[Path], rng: np.random.Generator) -> list[str]:
    """All below a folder whose accents are decomposed, as some file systems give them back."""
    inner = root / unicodedata.normalize("NFD", "Données reçues")
    inner.mkdir()
    for path in list(root.iterdir()):
        if path != inner:
            path.rename(inner / unicodedata.normalize("NFD", path.name))
    return []


def _annotation_files(root: Path, files: list[Path]) -> list[Path]:
    text = (".csv", ".tsv", ".txt", ".par", ".xml")
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in text and p not in set(files))


def _edit(change: Callable[[str, np.random.Generator], str | None]) -> Mutate:
    def mutate(root: Path, files: list[Path], rng: np.random.Generator) -> list[str] | None:
        tables = _annotation_files(root, files)
        if not tables:
            return None
        [path] = _pick(tables, rng)
        with path.open(encoding="utf-8", newline="") as file:
            text = change(file.read(), rng)
        if text is None:
            return None
        path.write_text(text, encoding="utf-8", newline="")
        return [path.name]

    return mutate


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _without_a_line(text: str, rng: np.random.Generator) -> str | None:
    lines = _lines(text)
    told = [i for i, line in enumerate(lines) if i > 0 and line.strip()]
    return "".join(line for i, line in enumerate(lines) if i != told[int(rng.integers(len(told)))]) if told else None


def _no_table(root: Path, files: list[Path], rng: np.random.Generator) -> list[str] | None:
    tables = _annotation_files(root, files)
    if not tables:
        return None
    [path] = _pick(tables, rng)
    path.unlink()
    return [path.name]


def _latin(root: Path, files: list[Path], rng: np.random.Generator) -> list[str] | None:
    tables = _annotation_files(root, files)
    if not tables:
        return None
    [path] = _pick(tables, rng)
    path.write_bytes(path.read_bytes() + b"\xff\xfe\xff\n")
    return [path.name]


HARMLESS, REPORTED, INDEXED = "harmless", "reported", "indexed"
KINDS: dict[str, tuple[Mutate, set[str]]] = {
    "renamed": (_rename(lambda stem: "x" + stem + "x"), {REPORTED, INDEXED}),
    "upper case": (_rename(str.upper), {HARMLESS, REPORTED, INDEXED}),
    "lower case": (_rename(str.lower), {HARMLESS, REPORTED, INDEXED}),
    "accent in the name": (_rename(lambda stem: stem + "é"), {REPORTED, INDEXED}),
    "mangled name": (_rename(lambda stem: "D‚go–t" + stem), {REPORTED, INDEXED}),
    "two digits exchanged": (_rename(lambda stem: stem[::-1]), {HARMLESS, REPORTED, INDEXED}),
    "dropped": (_drop, {REPORTED}),
    "duplicated": (_duplicate, {REPORTED}),
    "two recordings swapped": (_swap, {INDEXED}),
    "flipped bit": (_flip, {INDEXED, HARMLESS}),
    "truncated": (_cut(0.5), {REPORTED}),
    "cut within the header": (_cut(0.0), {REPORTED}),
    "silent": (_rewrite("PCM_16", silent=True), {REPORTED}),
    "git-LFS pointer": (_write(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"), {REPORTED}),
    "web page": (_write(b"<html><body>404</body></html>"), {REPORTED}),
    "empty": (_write(b""), {REPORTED}),
    "archive": (_write(b"PK\x03\x04" + bytes(60)), {REPORTED}),
    "garbage": (_write(bytes(range(1, 200))), {REPORTED}),
    "8 bits": (_rewrite("PCM_U8"), {REPORTED}),
    "24 bits": (_rewrite("PCM_24"), {HARMLESS}),
    "float": (_rewrite("FLOAT"), {HARMLESS}),
    "stereo": (_rewrite("PCM_16", channels=2), {HARMLESS}),
    "AppleDouble": (_junk("._{name}"), {HARMLESS}),
    "__MACOSX": (_junk("__MACOSX/{name}"), {HARMLESS}),
    "Thumbs.db": (_junk("Thumbs.db"), {HARMLESS}),
    "README": (_junk("README.txt"), {HARMLESS}),
    "unknown file": (_junk("{name}.bak"), {REPORTED}),
    "extra folder": (_extra_folder, {REPORTED, HARMLESS}),
    "nested": (_nest, {HARMLESS}),
    "NFD names": (_decompose, {HARMLESS}),
    "annotations with CRLF": (_edit(lambda t, _: t.replace("\n", "\r\n")), {HARMLESS}),
    "annotations with BOM": (_edit(lambda t, _: "\ufeff" + t), {HARMLESS, REPORTED}),
    "annotation line lost": (_edit(_without_a_line), {REPORTED, HARMLESS}),
    "annotation file lost": (_no_table, {REPORTED, HARMLESS}),
    "annotations not text": (_latin, {REPORTED, HARMLESS}),
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant."""

    verdict: str
    allowed: bool
    told: str


class Subject:
    """A small twin of one recipe, its rows and its index; mutants are copies of it."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe, self.folder = recipe, folder
        size = recipe.expect.utterances or recipe.published.utterances or 1000
        self.root = write_twin(recipe, folder / "true" / recipe.raw_name, min(0.05, 40 / size), 5, False)
        self.rows = self._build(self.root)[0]
        (folder / "index.csv").write_text(make_index(self.root, progress=False))
        self.index = load_index(folder / "index.csv")
        used = {u.path for u in read_raw(recipe, self.root).utterances}
        self.audio = sorted(used)

    def _build(self, root: Path) -> tuple[list[tuple[object, ...]], str]:
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        name = str(self.recipe.configuration)
        report = emoset.build(name, {self.recipe.raw_name: root}, data, workers=1, progress=False)
        columns = ("id", "label", "label_raw", "speaker", "gender", "language", "text", "sha256")
        rows = [
            (path.name[:4], *(row[c] for c in columns))
            for path in sorted((data / name).glob("*.arrow"))
            for row in read_shard(path).select(list(columns)).to_pylist()
        ]
        return sorted(rows, key=str), str(report)

    def judge(self, kind: str, seed: int) -> Outcome | None:
        """Make one mutant and say what became of it; None if the kind cannot apply to this corpus."""
        mutate, allowed = KINDS[kind]
        root = self.folder / "mutant" / self.recipe.raw_name
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.root, root)
        names = mutate(root, [root / name for name in self.audio], np.random.default_rng(seed))
        if names is None:
            return None
        try:
            rows, told = self._build(root)
        except EmosetError as error:
            told = str(error)
            counted = "as a whole" in told or "are missing" in told or "no list" in told
            verdict = REPORTED if counted or any(name in told for name in names) else "refused without the file's name"
            return Outcome(verdict, verdict in allowed, told)
        if rows == self.rows:
            return Outcome(HARMLESS, HARMLESS in allowed, told)
        if any(name in told for name in names):
            return Outcome(REPORTED, REPORTED in allowed, told)
        found = verify_raw(self.recipe, root, self.index, progress=False)
        differing = " ".join((*found.missing, *found.changed, *found.extra))
        verdict = INDEXED if names and any(name in differing for name in names) else "unseen"
        return Outcome(verdict, verdict in allowed, differing or told)
