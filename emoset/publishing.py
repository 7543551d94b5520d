"""Publishing: built corpora to a folder or to the Hub, with a card that strangers can load them by.

Audio goes out only where the corpus's licence allows it. Everything but audio may always be published, so that
others can build the same corpus from their own copy and check that it is the same.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from emoset.cards import LICENCES, MARK, card, data_files, facts, is_data_file, licences
from emoset.croissant import as_croissant
from emoset.errors import EmosetError, NotBuiltError, UnknownNameError, unknown_name
from emoset.forms import FORMS, Form, suffix_of, write_parquet, writers
from emoset.identity import published_manifests
from emoset.progress import Progress
from emoset.recipe import Recipe
from emoset.registry import get_recipe, resolve
from emoset.shards import (
    MANIFEST,
    FileFacts,
    built_configurations,
    default_data_dir,
    files_of,
    manifest_digest,
    read_manifest,
)
from emoset.summary import README
from emoset.targets import Remote, Target, facts_of, size_of, target_of
from emoset.verifying import verify

Action = Literal["upload", "keep", "remove"]

CROISSANT: Final = "croissant.json"
_OURS: Final = {README: MARK, LICENCES: "# Licences of EmoSet (speech)", CROISSANT: '"EmoSet-speech"'}
"""Files at the top of a publication, and what each holds if `publish` wrote it."""


@dataclass(frozen=True)
class PublishedFile:
    """A file of a publication, and what becomes of it.

    Args:
        path: below the folder or repository.
        bytes: its size.
        action: ``upload``, ``keep`` or ``remove``.
    """

    path: str
    bytes: int
    action: Action

    def __str__(self) -> str:
        return f"{self.action:<6} {self.bytes:>13,}  {self.path}"


@dataclass(frozen=True)
class Refusal:
    """Why a corpus is not published.

    Args:
        configuration: its name.
        reason: in words.
        cure: what can be done.
    """

    configuration: str
    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.configuration}: {self.reason}. To do: {self.cure}"


@dataclass(frozen=True)
class PublishReport:
    """What went where, or would go.

    Args:
        address: the folder or repository.
        files: all files of the configurations that were asked for, with what became of them.
        refused: what must not be published; in a dry run alone, since otherwise nothing is published at all then.
        dry_run: whether nothing was written.
    """

    address: str
    files: tuple[PublishedFile, ...]
    refused: tuple[Refusal, ...]
    dry_run: bool

    @property
    def changed(self) -> tuple[PublishedFile, ...]:
        """The files that are uploaded or removed."""
        return tuple(file for file in self.files if file.action != "keep")

    def __str__(self) -> str:
        sent = [file for file in self.files if file.action == "upload"]
        told = f"{len(sent)} of {len(self.files)} files, {sum(file.bytes for file in sent):,} bytes"
        lines = [f"{self.address}: {told}, {'would be' if self.dry_run else 'were'} uploaded"]
        return "\n".join([*lines, *(f"  {f}" for f in self.files), *(f"  refused {r}" for r in self.refused)])


def publish(
    corpora: str | Sequence[str],
    to: str | Path,
    *,
    data_dir: str | Path | None = None,
    form: Form = "arrow",
    audio: bool = True,
    dry_run: bool = False,
    private: bool = True,
    token: str | None = None,
    progress: bool = True,
) -> PublishReport:
    """Publish built corpora to a folder or to the Hub; what is there already is not sent again.

    Args:
        corpora: names of built corpora or variants; ``all`` for everything that is built.
        to: folder, or ``hf://datasets/<namespace>/<name>``. Configurations that are there already stay.
        data_dir: data folder; default: ``$EMOSET_HOME``, else the user's cache.
        form: ``arrow`` as built, ``parquet``, or ``flac`` for Parquet with lossless FLAC inside.
        audio: False for everything but recordings, in Parquet: for corpora whose licence forbids to pass them on.
        dry_run: only tell what would go where.
        private: whether a repository that is made for this is private.
        token: to write with; default: the one that ``hf auth login`` stored.
        progress: show progress bars.

    Returns:
        Every file with what became of it.

    Raises:
        EmosetError: a licence forbids it, a built file is not as it was built, or the place cannot be used; nothing
            that readers see has changed then.
        NotBuiltError: a corpus is not built.

    Example:
        >>> report = publish("emodb", "some-folder", data_dir=data, dry_run=True, progress=False)
        >>> [file.path for file in report.changed if "README" in file.path], report.refused
        (['README.md'], ())
    """
    root = Path(data_dir) if data_dir is not None else default_data_dir()
    if form not in FORMS:
        raise unknown_name("form", form, FORMS)
    target = target_of(to, token=token, private=private, progress=progress)
    manifests = {name: read_manifest(root / name) for name in _built(corpora, root)}
    refused = _refusals(root, manifests, audio, progress)
    if refused and not dry_run:
        reasons = "".join(f"\n  {refusal}" for refusal in refused)
        raise EmosetError(f"refused:{reasons}\nNothing was published", where=target.address)
    for refusal in refused:
        del manifests[refusal.configuration]
    with tempfile.TemporaryDirectory(prefix="emoset-") as scratch:
        job = _Job(root, target, form if audio else "parquet", audio, dry_run, progress, Path(scratch))
        try:
            files = job.run(manifests) if manifests else []
        except OSError as error:
            raise EmosetError(
                f"it cannot be read or written ({error.strerror or error})",
                where=str(error.filename or target.address),
                cure="look after space and permissions, then run the same command again",
            ) from error  # fmt: skip
    return PublishReport(target.address, tuple(sorted(files, key=lambda f: f.path)), tuple(refused), dry_run)


def _built(corpora: str | Sequence[str], root: Path) -> list[str]:
    built = built_configurations(root)
    names: list[str] = []
    for each in [corpora] if isinstance(corpora, str) else corpora:
        names += built if each == "all" else [each] if each in built else _configurations(each)
    absent = sorted(set(names) - set(built))
    if absent or not names:
        raise NotBuiltError(
            f"{', '.join(absent) or 'nothing'} is not built there" if absent else "nothing is built there",
            where=str(root), expected=f"some of {', '.join(built) or 'nothing'}", cure="run 'emoset build' first",
        )  # fmt: skip
    return list(dict.fromkeys(names))


def _configurations(name: str) -> list[str]:
    return [get_recipe(each).configuration for each in resolve(name)]


def _recipe(name: str) -> Recipe | None:
    with suppress(UnknownNameError):
        return get_recipe(name)
    return None


def _may_be_passed_on(manifest: Mapping[str, Any]) -> bool:
    """Whether recordings and transcripts may be: the build must say so, and the recipe of today must not deny it."""
    if manifest["synthetic"]:
        return True
    recipe = _recipe(manifest["configuration"])
    return manifest.get("redistribute") is True and (recipe is None or recipe.redistribute)


def _refusals(root: Path, manifests: Mapping[str, Any], audio: bool, progress: bool) -> list[Refusal]:
    refused = []
    for name, manifest in manifests.items():
        if audio and not _may_be_passed_on(manifest):
            reason = f"its licence does not allow to pass on the recordings ({manifest['licence']})"
            refused.append(Refusal(name, reason, "publish everything but the recordings with --no-audio"))
            continue
        told = verify(root, [name], progress=progress)
        if not told.ok:
            wrong = "; ".join((*told.missing, *told.extra, *told.changed))
            refused.append(Refusal(name, f"it is not what was built ({wrong})", f"run 'emoset build {name}' again"))
    return refused


def _manifest_text(manifest: Mapping[str, Any]) -> str:
    """A manifest as files hold it; what was added to it changes its digest."""
    return json.dumps({**manifest, "digest": manifest_digest(manifest)}, indent=1, ensure_ascii=False) + "\n"


@dataclass
class _Job:
    """One publication."""

    root: Path
    target: Target
    form: Form
    audio: bool
    dry_run: bool
    progress: bool
    scratch: Path
    files: list[PublishedFile] = field(default_factory=list)
    last: dict[str, Path | bytes] = field(default_factory=dict)

    def run(self, manifests: Mapping[str, Mapping[str, Any]]) -> list[PublishedFile]:
        there = self.target.files()
        if not there and not self.dry_run:
            self.target.prepare()
            there = self.target.files()
        published = published_manifests(self.target, there)
        self._check(there, published, manifests)
        for name, manifest in manifests.items():
            published[name] = self._configuration(name, manifest, published.get(name), there)
        self._texts(dict(sorted(published.items())), manifests, there)
        wanted = {file.path for file in self.files}
        gone = [path for path in sorted(there) if path not in wanted and path.partition("/")[0] in manifests
                and is_data_file(path.partition("/")[2])]  # fmt: skip
        self.files += [PublishedFile(path, there[path].bytes, "remove") for path in gone]
        if (self.last or gone) and not self.dry_run:
            self.target.finish(self.last, gone)
        return self.files

    def _check(self, there: Mapping[str, Remote], published: Mapping[str, Any], names: Iterable[str]) -> None:
        """Refuse to overwrite what others wrote, and to mix forms that cannot be loaded side by side."""
        for path, mark in _OURS.items():
            text = local.read_text("utf-8", "replace") if (local := self.target.fetch(path)) else mark
            bare = path == README and re.fullmatch(r"---\n.*\n---\s*", text, re.DOTALL)  # as the Hub's web site makes
            if mark not in text and not bare:
                raise self._not_ours(path)
        for path in (f"{name}/{MANIFEST}" for name in names if name not in published):
            if path in there:
                raise self._not_ours(path)
        suffix, others = suffix_of(self.form), {name: m for name, m in published.items() if name not in names}
        if other := [name for name, m in others.items() if not all(f.endswith(suffix) for f in data_files(m))]:
            raise EmosetError(
                f"{', '.join(other)} is published there in another form", where=self.target.address,
                expected=f"files that end with {suffix}: 'datasets' opens all configurations with one reader",
                cure="publish all of them in one form, or to another place",
            )  # fmt: skip

    def _not_ours(self, path: str) -> EmosetError:
        return EmosetError(
            f"there is a {path} that 'emoset publish' did not write", where=self.target.address,
            expected="an empty place, or one that was published to before", cure="name another place, or remove it",
        )  # fmt: skip

    def _configuration(
        self, name: str, manifest: Mapping[str, Any], old: Mapping[str, Any] | None, there: Mapping[str, Remote]
    ) -> dict[str, Any]:
        """Send the data of a configuration that nobody names yet, keep the rest for the end; its new manifest."""
        made_from = {
            "form": self.form, "audio": self.audio, "text": _may_be_passed_on(manifest), "built": manifest["digest"],
            "software": {} if self.form == "arrow" else writers(),
        }  # fmt: skip
        known: dict[str, FileFacts] = dict(files_of(manifest)) if self.form == "arrow" else {}
        if old and {key: old["published"].get(key) for key in made_from} == made_from:
            known = old["published"]["files"]
        folder = self.root / name
        found: dict[str, FileFacts] = {}
        new: dict[str, Path] = {}
        with Progress(name, len(files_of(manifest)), self.progress and self.form != "arrow") as bar:
            for shard in files_of(manifest):
                file = shard.replace(".arrow", suffix_of(self.form))
                path = f"{name}/{file}"
                if file in known and self.target.has(path, known[file]):
                    found[file], here = known[file], True
                else:
                    content = folder / shard if file == shard else self._made(folder / shard, name, made_from["text"])
                    found[file], here = facts_of(content), self.target.holds(path, content)
                    if not here:
                        (self.last if path in there else new)[path] = content
                self.files.append(PublishedFile(path, found[file]["bytes"], "keep" if here else "upload"))
                bar.advance()
        if new and not self.dry_run:
            self.target.add(new)
        for done in new.values():
            if done.is_relative_to(self.scratch):
                done.unlink()
        told = facts(folder, manifest, _recipe(name))
        return {**manifest, "card": told, "published": {**made_from, "files": dict(sorted(found.items()))}}

    def _made(self, shard: Path, name: str, text: object) -> Path:
        target = self.scratch / f"{name}-{shard.stem}{suffix_of(self.form)}"
        return write_parquet(shard, target, flac=self.form == "flac", audio=self.audio, text=bool(text))

    def _texts(self, published: Mapping[str, Any], names: Iterable[str], there: Mapping[str, Remote]) -> None:
        """Manifests, then what is made of all of them."""
        texts = {f"{name}/{MANIFEST}": _manifest_text(published[name]) for name in names}
        texts[LICENCES] = licences(published)
        texts[CROISSANT] = as_croissant(published, self.target.base, self._date())
        texts[README] = card(published, self.target.address if self.target.base else "")
        for path, text in texts.items():
            content = text.encode()
            here = self.target.holds(path, content)
            self.files.append(PublishedFile(path, size_of(content), "keep" if here else "upload"))
            if not here:
                self.last[path] = content

    def _date(self) -> str:
        """The day of the first publication."""
        if local := self.target.fetch(CROISSANT):
            with suppress(ValueError, KeyError, TypeError):
                return str(json.loads(local.read_text("utf-8"))["datePublished"])
        return datetime.now(UTC).date().isoformat()
