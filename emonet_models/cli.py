"""The command ``emonet``: train on built corpora, predict, convert the original's weights, count parameters."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import Progress

import emonet_models
from emoset.cli import DataDir, Quiet, run
from emoset.errors import EmosetError, ModelError, unknown_name

app = typer.Typer(
    help="EmoNet's baseline for speech emotion recognition.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
)  # fmt: skip

Preset = Annotated[str, typer.Option(help="baseline, quick (for a first look) or as-published.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of any other setting; repeatable.")]
Overwrite = Annotated[bool, typer.Option(help="Replace the model that the folder holds.")]


@app.command("train", epilog="Example: emonet train emodb urdu --data data --out runs/both --mode adapters")
def train_(
    corpora: Annotated[list[str], typer.Argument(help="Corpora or variants that are built in the data folder.")],
    out: Annotated[Path, typer.Option(help="Model folder: weights, settings and the course of training.")],
    data: DataDir = None,
    labels: Annotated[str, typer.Option(help="label, emotion, arousal or valence.")] = "label",
    preset: Preset = "baseline",
    mode: Annotated[str | None, typer.Option(help="scratch, finetune, last-layer or adapters.")] = None,
    start: Annotated[Path | None, typer.Option(help="Model folder to start from.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order, crops and augmentation.")] = 0,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set; default: the preset's.")] = None,
    set_: Set = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: what there is.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the training that the folder holds.")] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Train a model on one corpus or several; the epoch is chosen on the validation splits, no test split is read."""
    from emonet_models.batches import corpus_data
    from emonet_models.processes import accelerator_for
    from emonet_models.weights import CONFIG

    if device not in (None, "cpu", "cuda"):
        raise unknown_name("device", str(device), ("cpu", "cuda"))
    named = {"seed": seed, "epochs": epochs, "mode": mode}
    given = {name: value for name, value in named.items() if value is not None}
    settings = emonet_models.Settings.preset(preset, **{**given, **_settings(set_)})
    if (out / CONFIG).exists() and not (overwrite or resume):
        cure = "name another folder, or add --resume or --overwrite"
        raise ModelError("a model is already there", where=str(out), cure=cure)
    where = cast(Any, device)
    accelerator_for(where)  # a GPU that is not there is told of before data that are not there
    total = settings.epochs * (3 if settings.schedule == "three-stages" else 1)
    with _bar("training", quiet) as tell:

        def report(epoch: emonet_models.Epoch) -> None:
            told = f"epoch {epoch.epoch}  loss {epoch.loss:.3f}  validation UAR {epoch.validation_uar:.3f}"
            tell(epoch.epoch, total, told)

        own = corpus_data(corpora, data, labels)
        result = emonet_models.train(settings, own, out=out, start=start, resume=resume, device=where, report=report)
    best, last = result.best, result.epochs[-1]
    typer.echo(f"best epoch {best.epoch} of {last.epoch}: validation UAR {best.validation_uar:.3f}")
    typer.echo(f"{last.seconds:.0f} s, {last.cpu_seconds:.0f} s of CPU")
    typer.echo(f"wrote {out}")


@app.command("reproduce", epilog="Example: emonet reproduce --collection emoset26 --data data --out runs/paper")
def reproduce_(
    out: Annotated[Path, typer.Option(help="Folder for models, results and the table; run again to go on.")],
    collection: Annotated[str, typer.Option(help="Collection or corpora, separated by commas.")] = "emoset26",
    data: DataDir = None,
    preset: Preset = "baseline",
    source: Annotated[list[str] | None, typer.Option(help="Corpus to transfer from; repeatable.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How often everything is trained.")] = 1,
    set_: Set = None,
    quiet: Quiet = False,
) -> None:
    """The paper's experiment on what is built: single, multi-corpus and transfer training, and a table.

    Each corpus takes over the network of the first --source that is another corpus; default: the two largest.
    """
    from emonet_models.reproducing import reproduce

    overrides = _settings(set_)
    with _bar("reading", quiet) as tell:
        found = reproduce(
            collection.split(","), data, out, preset=preset, sources=source or (), seeds=seeds, report=tell, **overrides
        )
    typer.echo(found.to_markdown(), nl=False)
    typer.echo(f"wrote {out}")


@app.command("predict", epilog="Example: emonet predict recordings/ --model runs/emodb --out found.csv")
def predict_(
    files: Annotated[list[Path], typer.Argument(help="Audio files, or folders of them.")],
    model: Annotated[Path, typer.Option(help="Model folder.")],
    corpus: Annotated[str | None, typer.Option(help="Whose classes, if the model knows several corpora.")] = None,
    out: Annotated[Path | None, typer.Option(help="A .csv or .json file; default: CSV to the screen.")] = None,
    embeddings: Annotated[bool, typer.Option(help="Write the features before the head as well.")] = False,
    quiet: Quiet = False,
) -> None:
    """Class probabilities of audio files of any rate, length, channel count and container."""
    from emonet_models.predicting import audio_files, predict, table
    from emoset.staging import write_whole

    if out is not None and out.suffix not in (".csv", ".json"):
        raise ModelError(f"a file named {out.name}", expected="a name that ends in .csv or .json")
    network = emonet_models.EmoNet.from_pretrained(model)
    name, found = network.corpus_of(corpus), audio_files(files)
    predictions = []
    with _bar("listening", quiet or out is None) as tell:
        for prediction in predict(network, found, name, embeddings=embeddings):
            predictions.append(prediction)
            tell(len(predictions), len(found), "listening")
    text = table(predictions, network.classes[name], as_json=out is not None and out.suffix == ".json")
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_whole(out, text.encode())
        typer.echo(f"wrote {out}: {len(predictions)} files")
    if bad := [prediction for prediction in predictions if prediction.error]:
        got = f"{len(bad)} of {len(predictions)} files could not be read, first {bad[0].error.removesuffix('.')}"
        raise ModelError(got, cure="the other files are in the table")


@app.command("convert", epilog="Example: emonet convert shared_model.h5 --mels 64 --out model")
def convert_(
    weights: Annotated[Path, typer.Argument(help="The original's HDF5 file.")],
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    mels: Annotated[int, typer.Option(help="Mel bands that it was trained with; the original's default is 128.")],
    window: Annotated[float | None, typer.Option(help="Seconds of a window, for avgpool.")] = None,
    classes: Annotated[list[str] | None, typer.Option(help="CORPUS=NAME,NAME,... in their order; repeatable.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Convert weights of the original EmoNet; what cannot be proved of them is refused."""
    pairs = _pairs("--classes", "CORPUS=NAME,NAME,...", classes)
    named = {corpus: tuple(name.strip() for name in names.split(",")) for corpus, names in pairs}
    network = emonet_models.convert(weights, out, mels=mels, window=window, classes=named, overwrite=overwrite)
    corpora = ", ".join(f"{name} ({count} classes)" for name, count in network.corpora.items())
    typer.echo(f"wrote {out}: {corpora}")


@app.command("params")
def params_() -> None:
    """Parameter counts of EmoNet's networks, and the arithmetic behind the paper's factor of 3.5."""
    from emonet_models.counting import parameter_table

    typer.echo(parameter_table())


def _pairs(option: str, form: str, texts: Iterable[str] | None) -> Iterator[tuple[str, str]]:
    """The two sides of what was given for an option that takes NAME=VALUE."""
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise EmosetError(f"{option} {text!r}", expected=form, cure="see the command's --help")
        yield name.strip(), value


def _settings(texts: Iterable[str] | None) -> dict[str, Any]:
    """Settings by name; values are read as JSON where they are JSON."""
    found: dict[str, Any] = {}
    known = emonet_models.Settings.model_fields
    for name, value in _pairs("--set", "NAME=VALUE", texts):
        if name not in known:
            raise unknown_name("setting", name, known)
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found


@contextmanager
def _bar(title: str, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on standard error where somebody watches; it is moved by what is done, of how much, and a new title."""
    with Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total, told: progress.update(task, completed=done, total=total, description=told)


def main() -> None:
    """Run the command; a mistake of the user's gives its message and exit status 1, never a traceback."""
    run(app)
