"""The command ``emoset``: each command is a thin layer over the public function of the same name."""

from __future__ import annotations

import shlex
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

import emoset
from emoset.comparing import compare
from emoset.errors import EmosetError
from emoset.indexing import Index, load_index, make_index, sources_of, verify_raw
from emoset.remote import is_address
from emoset.reports import BuildReport
from emoset.shards import default_data_dir
from emoset.staging import write_text

if TYPE_CHECKING:
    from emoset.forms import Form

app = typer.Typer(
    help="EmoSet (speech): recipes, shards, loading and a benchmark for speech emotion recognition.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
)  # fmt: skip
_out = Console()

_EXTRAS = {
    "torch": "torch", "safetensors": "torch", "accelerate": "torch", "audiomentations": "torch",
    "sklearn": "baselines", "matplotlib": "report", "distributed": "dask",
    "audformat": "exchange", "lhotse": "exchange", "webdataset": "exchange", "yaml": "exchange", "pandas": "exchange",
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
    _print(str(emoset.get_recipe(corpus)))


@app.command(epilog="Example: emoset check my_recipe.py")
def check(corpora: Annotated[list[str], typer.Argument(help="Paths of recipe modules, or names of corpora.")]) -> None:
    """Examine recipes by every obligation that those of the book meet."""
    reports = [report for name in corpora for report in emoset.check(name)]
    for report in reports:
        _print(str(report))
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
        _print(f"wrote {root}")


@app.command(epilog="Example: emoset download emodb urdu --out raw")
def download(
    corpora: Corpora,
    out: Annotated[
        Path | None, typer.Option(help="Folder that gets one folder per corpus; default: $EMOSET_RAW, else the cache.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Download open corpora and unpack them; for the others, tell how to get them."""
    for root in emoset.download(corpora, out, progress=not quiet):
        _print(str(root))


@app.command(epilog="Example: emoset locate /corpora")
def locate(
    folder: Annotated[Path, typer.Argument(help="Folder to search, with all below it.")],
    corpora: Annotated[list[str] | None, typer.Argument(help="Corpora to look for; default: all.")] = None,
    quiet: Quiet = False,
) -> None:
    """Find copies of corpora that you have already."""
    copies = emoset.locate(folder, corpora or "all", progress=not quiet)
    for copy in copies:
        _print(str(copy))
    if copies:
        first = {copy.corpus: copy.root for copy in reversed(copies)}
        _print("\nto build them:\n  emoset build " + " ".join(sorted(first)) + " --out DATA", end=" ")
        _print(" ".join(f"--raw {corpus}={shlex.quote(str(root))}" for corpus, root in sorted(first.items())))
    else:
        _print("no copy of a corpus was found")
        raise typer.Exit(1)


@app.command(epilog="Example: emoset status emoset26 --data data")
def status(
    corpora: Annotated[list[str] | None, typer.Argument(help="Corpora or a collection; default: all.")] = None,
    data: DataDir = None,
    raw: Annotated[Path | None, typer.Option(help="Folder of raw roots; default: $EMOSET_RAW, else the cache.")] = None,
) -> None:
    """Tell for every corpus whether it is absent, raw, built, verified, with sizes."""
    table = Table("corpus", "state", "utterances", "built", "raw", "raw folder", "remarks", box=None, pad_edge=False)
    for told in emoset.status(data, corpora or "all", raw=raw):
        remarks = "; ".join(filter(None, [told.remarks, told.problem and f"raw: {told.problem}"]))
        sizes = [decimal(size) if size else "" for size in (told.built_bytes, told.raw_bytes)]
        place = str(told.raw_root) if told.raw_root else ""
        table.add_row(
            told.configuration, told.state, str(told.utterances or ""), *sizes, escape(place), escape(remarks)
        )
    _out.print(table)


@app.command(epilog="Example: emoset build emodb --raw /corpora/EMO-DB --out data")
def build(
    corpora: Corpora,
    raw: Annotated[
        list[str] | None,
        typer.Option(
            help="Raw folder of the corpus, or the folder that holds <corpus>/; CORPUS=FOLDER, repeated, for several. "
            "Default: $EMOSET_RAW/<corpus>, where open corpora are downloaded to if absent."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Data folder, or an address such as s3://bucket/data; default: $EMOSET_HOME, else the cache."
        ),
    ] = None,
    allow_partial: Annotated[
        bool, typer.Option(help="Build what is left when files are rejected; marked for good.")
    ] = False,
    pattern: Annotated[
        str | None,
        typer.Option(help="Path pattern with groups label, speaker, ...: for one corpus without a public layout."),
    ] = None,
    rebuild: Annotated[bool, typer.Option(help="Build again even if nothing has changed.")] = False,
    shard_mb: Annotated[int, typer.Option(help="Size at which a shard is closed.", min=1, max=1024)] = 256,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core, at most 8.", min=1)] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler whose workers do the work, such as tcp://host:8786.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Build corpora into shards, account for every file, and verify the result."""
    report: BuildReport = emoset.build(
        corpora,
        _raw_folders(raw),
        out,
        allow_partial=allow_partial,
        pattern=pattern,
        rebuild=rebuild,
        shard_bytes=shard_mb * 2**20,
        workers=workers,
        scheduler=scheduler,
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
        _print(str(corpus))
        _out.print(table)
    if not is_address(out):
        built = [corpus.configuration for corpus in report.corpora if not corpus.unchanged]
        _verify(Path(out) if out else default_data_dir(), built, quiet)


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
    _print(f"wrote {out}")


@app.command(epilog="Example: emoset verify data; emoset verify data --against /mnt/other/data")
def verify(
    data: Annotated[
        Path | None, typer.Argument(help="Data folder; default: $EMOSET_HOME, else the user's cache.")
    ] = None,
    corpora: Annotated[list[str] | None, typer.Option("--corpus", help="Only this corpus; repeat for several.")] = None,
    raw: Annotated[
        list[str] | None,
        typer.Option(
            help="CORPUS=FOLDER, repeatable: compare a raw copy instead, with what DATA was built from if that is "
            "given, else with the true distribution's index."
        ),
    ] = None,
    index: Annotated[Path | None, typer.Option(help="An index of your own, by 'emoset index', for --raw.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another data folder: tell which rows differ, and by how much.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Check that a data folder holds exactly what was built, or that raw copies are what they should be."""
    if against:
        compared = compare(data or default_data_dir(), against, corpora, progress=not quiet)
        for told in compared:
            _print(str(told))
        if not all(told.same for told in compared):
            raise typer.Exit(1)
        return
    if raw:
        reports = [
            verify_raw(emoset.get_recipe(corpus), folder, _index(index, data, corpus), progress=not quiet)
            for corpus, folder in _raw_pairs(raw)
        ]
        for each in reports:
            _print(str(each))
        if not all(each.ok for each in reports):
            raise typer.Exit(1)
        return
    _verify(data or default_data_dir(), corpora, quiet)


def _verify(data: Path, corpora: list[str] | None, quiet: bool) -> None:
    """Verify, and leave with status 1 if something is wrong."""
    if corpora == []:
        return
    report = emoset.verify(data, corpora, progress=not quiet)
    _print(str(report))
    if not report.ok:
        raise typer.Exit(1)


def _index(index: Path | None, data: Path | None, corpus: str) -> Index | None:
    """What a raw copy is compared with: an index, or what a build was made from; None for the book's index."""
    if index is not None:
        return load_index(index)
    return sources_of(data / emoset.get_recipe(corpus).configuration) if data is not None else None


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
    _print(results.to_markdown())
    if out:
        _print(f"wrote {out}")


@app.command(epilog="Example: emoset report data --out report.html")
def report(
    data: Annotated[
        Path | None, typer.Argument(help="Data folder; default: $EMOSET_HOME, else the user's cache.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("report.html"),
    corpora: Annotated[list[str] | None, typer.Option("--corpus", help="Only this corpus; repeat for several.")] = None,
    per_class: Annotated[int, typer.Option(help="Utterances of each class to see and hear; 0 for none.", min=0)] = 3,
    quiet: Quiet = False,
) -> None:
    """Write one HTML page to look at and listen to what is built."""
    _print(f"wrote {emoset.report(data, out, corpora=corpora, per_class=per_class, progress=not quiet)}")


@app.command(epilog="Example: emoset publish emodb --to hf://datasets/lab/emoset --data data --dry-run")
def publish(
    corpora: Corpora,
    to: Annotated[str, typer.Option(help="Folder, or hf://datasets/<namespace>/<name>.")],
    data: DataDir = None,
    form: Annotated[str, typer.Option(help="arrow as built, parquet, or flac for Parquet with FLAC inside.")] = "arrow",
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="Everything but recordings: labels, splits, hashes.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go where.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public.")] = False,
    quiet: Quiet = False,
) -> None:
    """Publish built corpora, with a dataset card; what a licence forbids is refused."""
    told = emoset.publish(
        corpora, to, data_dir=data, form=cast("Form", form), audio=not no_audio, dry_run=dry_run, private=not public,
        progress=not quiet,
    )  # fmt: skip
    _print(str(told))
    if told.refused:
        raise typer.Exit(1)


@app.command("export", epilog="Example: emoset export lhotse emodb --data data --out emodb-lhotse")
def export_(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="audformat, lhotse, wav or webdataset.")],
    corpus: Annotated[str, typer.Argument(help="A built corpus or variant.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it must be empty or an earlier export.")],
    data: DataDir = None,
    split: Annotated[list[str] | None, typer.Option(help="Only this split; repeat for several.")] = None,
    quiet: Quiet = False,
) -> None:
    """Export a built corpus for other tools."""
    from emoset.exchange import export_to

    _print(f"wrote {export_to(form, corpus, out, data_dir=data, splits=split, progress=not quiet)}")


@app.command("import", epilog="Example: emoset import audformat some-database --out raw/mine --field label=emotion")
def import_(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="audformat, lhotse, wav or webdataset.")],
    source: Annotated[Path, typer.Argument(help="What another tool, or 'emoset export', wrote.")],
    out: Annotated[Path, typer.Option(help="Raw folder to write, for 'emoset build'.")],
    field: Annotated[
        list[str] | None, typer.Option(help="NAME=COLUMN: where label, speaker, split, ... stand; repeatable.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Make a raw folder of what other tools hold."""
    from emoset.exchange import import_from

    columns = dict(text.partition("=")[::2] for text in field or [])
    _print(f"wrote {import_from(form, source, out, progress=not quiet, **columns)}")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        _print(installed("emoset-speech"))
        raise typer.Exit()


def _print(text: str, end: str = "\n") -> None:
    """Print text as it is."""
    _out.print(text, end=end, markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command; a mistake of the user's gives its message and exit status 1, never a traceback."""
    run(app)


def run(application: typer.Typer) -> None:
    """Run a typer application with this project's manner of reporting errors and warnings."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half-done is cleaned up
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
