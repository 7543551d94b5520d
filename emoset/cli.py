"""The command ``emoset``: each command is a thin layer over the public function of the same name."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import emoset
from emoset.building import BuildReport
from emoset.errors import EmosetError
from emoset.indexing import load_index, make_index, verify_raw
from emoset.shards import default_data_dir
from emoset.staging import write_text

app = typer.Typer(
    help="EmoSet (speech): recipes, shards, loading and a benchmark for speech emotion recognition.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
)  # fmt: skip
_out = Console()

_EXTRAS = {
    "torch": "torch", "safetensors": "torch", "accelerate": "torch", "audiomentations": "torch",
    "sklearn": "baselines", "matplotlib": "report",
}  # fmt: skip
"""Packages that the core does without, and the extra that brings each."""

Corpora = Annotated[list[str], typer.Argument(help="Corpora or variants; 'all' for the whole book.")]
DataDir = Annotated[
    Path | None, typer.Option("--data", help="Data folder; default: $EMOSET_HOME, else the user's cache.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]


@app.command("list", epilog="Example: emoset list --language de --access open")
def list_(
    collection: Annotated[str | None, typer.Argument(help="Collection, corpus or variant.")] = None,
    language: Annotated[str | None, typer.Option(help="BCP 47 tag, such as de.")] = None,
    access: Annotated[str | None, typer.Option(help="open, request, licence or closed.")] = None,
    kind: Annotated[str | None, typer.Option(help="acted, induced or natural.")] = None,
) -> None:
    """List the corpora that there are recipes for."""
    table = Table("corpus", "language", "kind", "access", "utterances", "classes", "title", box=None, pad_edge=False)
    recipes = emoset.list_corpora(collection=collection, language=language, access=access, kind=kind)
    for recipe in recipes:
        for task in (recipe, *(emoset.get_recipe(variant.id) for variant in recipe.variants)):
            count = task.expect.utterances or task.published.utterances
            about = (", ".join(task.languages), task.kind, task.access, str(count or "?"), str(len(task.classes)))
            table.add_row(task.configuration, *about, escape(task.title))
    _out.print(table if recipes else "no corpus fits")


@app.command(epilog="Example: emoset show emodb")
def show(corpus: Annotated[str, typer.Argument(help="Corpus, variant, or path of a recipe module.")]) -> None:
    """Show everything that a recipe knows about its corpus."""
    _out.print(str(emoset.get_recipe(corpus)), markup=False, highlight=False, soft_wrap=True)


@app.command(epilog="Example: emoset check my_recipe.py")
def check(corpora: Annotated[list[str], typer.Argument(help="Paths of recipe modules, or names of corpora.")]) -> None:
    """Examine recipes by every obligation that those of the book meet."""
    reports = [report for name in corpora for report in emoset.check(name)]
    for report in reports:
        _out.print(str(report), markup=False, highlight=False, soft_wrap=True)
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@app.command(epilog="Example: emoset twin emodb cremad --out raw --scale 0.1")
def twin(
    corpora: Corpora,
    out: Annotated[Path, typer.Option(help="Folder that gets one folder per corpus.")],
    scale: Annotated[float, typer.Option(help="Share of the true number of utterances.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Another seed gives other recordings.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Write synthetic raw corpora: real layout, names, classes and speakers; synthetic speech."""
    for root in emoset.twin(corpora, out, scale=scale, seed=seed, progress=not quiet):
        _out.print(f"wrote {root}", markup=False, highlight=False, soft_wrap=True)


@app.command(epilog="Example: emoset build emodb --raw /corpora/EMO-DB --out data")
def build(
    corpora: Corpora,
    raw: Annotated[
        list[str] | None,
        typer.Option(
            help="Raw folder of the corpus, or the folder that holds <corpus>/; CORPUS=FOLDER, repeated, for several."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Data folder; default: $EMOSET_HOME, else the user's cache.")] = None,
    allow_partial: Annotated[
        bool, typer.Option(help="Build what is left when files are rejected; marked for good.")
    ] = False,
    pattern: Annotated[
        str | None,
        typer.Option(help="Path pattern with groups label, speaker, ...: for one corpus without a public layout."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Threads; default: one per core.")] = None,
    quiet: Quiet = False,
) -> None:
    """Build corpora into shards and account for every file."""
    report: BuildReport = emoset.build(
        corpora,
        _raw_folders(raw),
        out,
        allow_partial=allow_partial,
        pattern=pattern,
        workers=workers,
        progress=not quiet,
    )
    for corpus in report.corpora:
        splits = corpus.manifest["splits"]
        table = Table("", *splits, box=None, pad_edge=False)
        table.add_row("utterances", *(str(told["utterances"]) for told in splits.values()))
        table.add_row("minutes", *(f"{told['seconds'] / 60:.1f}" for told in splits.values()))
        table.add_row("speakers", *(str(len(told["speakers"]) or "?") for told in splits.values()))
        for label in corpus.manifest["classes"]:
            table.add_row(label, *(str(told["classes"].get(label, 0)) for told in splits.values()))
        _out.print(str(corpus), markup=False, highlight=False, soft_wrap=True)
        _out.print(table)


def _raw_folders(raw: list[str] | None) -> Path | dict[str, Path] | None:
    if not raw:
        return None
    if len(raw) == 1 and ("=" not in raw[0] or Path(raw[0]).is_dir()):
        return Path(raw[0])
    return {emoset.get_recipe(corpus).raw_name: folder for corpus, folder in _raw_pairs(raw)}


def _raw_pairs(raw: list[str]) -> Iterator[tuple[str, Path]]:
    for text in raw:
        corpus, _, folder = text.partition("=")
        if not folder:
            raise EmosetError(f"--raw {text!r}", expected="CORPUS=FOLDER", cure="see 'emoset build --help'")
        yield corpus, Path(folder)


@app.command(epilog="Example: emoset index /corpora/EMO-DB --out emodb.csv")
def index(
    raw_root: Annotated[Path, typer.Argument(help="A copy that you know to be the true distribution.")],
    out: Annotated[Path, typer.Option(help="CSV file with path, bytes and sha256 of every file.")],
    quiet: Quiet = False,
) -> None:
    """Write the index of a raw corpus, which tells later copies from damaged ones."""
    write_text(out, make_index(raw_root, progress=not quiet))
    _out.print(f"wrote {out}", markup=False, highlight=False, soft_wrap=True)


@app.command(epilog="Example: emoset verify data")
def verify(
    data: Annotated[
        Path | None, typer.Argument(help="Data folder; default: $EMOSET_HOME, else the user's cache.")
    ] = None,
    corpora: Annotated[list[str] | None, typer.Option("--corpus", help="Only this corpus; repeat for several.")] = None,
    raw: Annotated[
        list[str] | None,
        typer.Option(help="CORPUS=FOLDER: compare a raw copy with the true distribution's index instead; repeatable."),
    ] = None,
    index: Annotated[Path | None, typer.Option(help="An index of your own, by 'emoset index', for --raw.")] = None,
    quiet: Quiet = False,
) -> None:
    """Check that a data folder holds exactly what was built, or with --raw that a copy is the true distribution."""
    if raw:
        reports = [
            verify_raw(emoset.get_recipe(corpus), folder, load_index(index) if index else None, progress=not quiet)
            for corpus, folder in _raw_pairs(raw)
        ]
        for each in reports:
            _out.print(str(each), markup=False, highlight=False, soft_wrap=True)
        if not all(each.ok for each in reports):
            raise typer.Exit(1)
        return
    report = emoset.verify(data or default_data_dir(), corpora or None, progress=not quiet)
    _out.print(str(report), markup=False, highlight=False, soft_wrap=True)
    if not report.ok:
        raise typer.Exit(1)


@app.command(
    epilog="Example: emoset benchmark docs/examples/svm_logmel.py:SvmOnLogMel emodb urdu --data data --out results"
)
def benchmark(
    model: Annotated[
        str,
        typer.Argument(help="package.module:attribute, path/to/file.py:attribute, or a CSV of predictions."),
    ],
    corpora: Corpora,
    data: DataDir = None,
    arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE handed to the model's class; repeatable.")] = None,
    labels: Annotated[str, typer.Option(help="label, emotion, arousal, valence or label_raw.")] = "label",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results: JSON, Markdown, predictions, pictures.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the confidence intervals.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Train and test a model on built corpora, with confidence intervals."""
    from emoset.benchmarking import resolve_model

    pairs = (text.partition("=") for text in arg or [])
    args = {name: value if equals else "true" for name, equals, value in pairs}
    results = emoset.benchmark(
        resolve_model(model, args),
        corpora,
        data_dir=data,
        labels=labels,
        seed=seed,
        out=out,
        progress=not quiet,
    )
    _out.print(results.to_markdown(), markup=False, highlight=False, soft_wrap=True)
    if out:
        _out.print(f"wrote {out}", markup=False, highlight=False, soft_wrap=True)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        _out.print(installed("emoset-speech"), highlight=False)
        raise typer.Exit()


def main() -> None:
    """Run the command; a mistake of the user's gives its message and exit status 1, never a traceback."""
    run(app)


def run(application: typer.Typer) -> None:
    """Run a typer application with this project's manner of reporting errors and warnings."""
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    try:
        application()
    except EmosetError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        cure = f"pip install 'emoset-speech[{_EXTRAS[error.name]}]'"
        print(f"error: {error.name} is not installed. To do: {cure}.", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; there is nobody to tell
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"error: {where}{error.strerror or error}. To do: choose another folder, or mend this one.", file=sys.stderr
        )
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; nothing half-written is left", file=sys.stderr)
        sys.exit(130)
