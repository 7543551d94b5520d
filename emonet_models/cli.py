"""The command ``emonet``: train the baseline on built corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from emoset.cli import run
from emoset.errors import EmosetError, ModelError

app = typer.Typer(
    help="EmoNet's baseline for speech emotion recognition.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
)  # fmt: skip
_out = Console()


@app.callback()
def _root() -> None:
    pass


@app.command("train", epilog="Example: emonet train emodb --data data --out runs/emodb")
def train_(
    corpus: Annotated[str, typer.Argument(help="Corpus or variant that is built in the data folder.")],
    out: Annotated[Path, typer.Option(help="Model folder: weights, settings and the course of training.")],
    data: Annotated[
        Path | None, typer.Option(help="Data folder; default: $EMOSET_HOME, else the user's cache.")
    ] = None,
    labels: Annotated[str, typer.Option(help="label, emotion, arousal or valence.")] = "label",
    preset: Annotated[str, typer.Option(help="baseline, quick (for a first look) or as-published.")] = "baseline",
    seed: Annotated[int, typer.Option(help="Of weights, order, crops and augmentation.")] = 0,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set; default: the preset's.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Wall-clock limit; the schedule is squeezed into it.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of any other setting; repeatable.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: PyTorch's choice.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the model that the folder holds.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train a model on one corpus; the epoch is chosen on the validation split, the test split is not read."""
    import torch

    from emonet_models.batches import FromDataset
    from emonet_models.settings import Settings
    from emonet_models.training import Epoch, train
    from emonet_models.weights import CONFIG
    from emoset.torch import UtteranceDataset

    if threads is not None:
        torch.set_num_threads(threads)
    named = {"epochs": epochs, "minutes": minutes}
    given = {key: value for key, value in named.items() if value is not None}
    settings = Settings.preset(preset, **{"seed": seed, **given, **_pairs(set_ or [])})
    if (out / CONFIG).exists() and not overwrite:
        raise ModelError("a model is already there", where=str(out), cure="name another folder, or add --overwrite")
    sets = [
        UtteranceDataset(corpus, part, data_dir=data, labels=labels, crop="whole") for part in ("train", "validation")
    ]
    stages = 3 if settings.schedule == "three-stages" else 1
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    with Progress(*columns, console=_out, disable=quiet) as progress:
        task = progress.add_task(f"training on {corpus}", total=stages * settings.epochs, told="")

        def report(epoch: Epoch) -> None:
            told = f"epoch {epoch.epoch}  loss {epoch.loss:.3f}  validation UAR {epoch.validation_uar:.3f}"
            progress.update(task, advance=1, told=told)

        train_set, validation_set = (FromDataset(part) for part in sets)
        result = train(
            settings, train_set, validation_set, sets[0].classes, out,
            corpus=corpus, data=sets[0].build, report=report,
        )  # fmt: skip
    best, last = result.best, result.epochs[-1]
    _out.print(f"best epoch {best.epoch} of {last.epoch}: validation UAR {best.validation_uar:.3f}", highlight=False)
    _out.print(f"{last.seconds:.0f} s, {last.cpu_seconds:.0f} s of CPU", highlight=False)
    _out.print(f"wrote {out}", markup=False, highlight=False, soft_wrap=True)


def _pairs(texts: list[str]) -> dict[str, Any]:
    """NAME=VALUE texts as settings; values are read as JSON where they are JSON."""
    import json

    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise EmosetError(f"--set {text!r}", expected="NAME=VALUE", cure="see 'emonet train --help'")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value
    return found


def main() -> None:
    """Run the command; a mistake of the user's gives its message and exit status 1, never a traceback."""
    run(app)
