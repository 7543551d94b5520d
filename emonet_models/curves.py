"""The course of a training as pictures: TensorBoard events while it runs, a PNG of its curves at the end."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from emonet_models.state import Epoch, Scores
from emoset.staging import write_whole


def _scores(epoch: Epoch) -> dict[str, Epoch | Scores]:
    """The means of an epoch, under no name, and, where there are several corpora, what it gave on each."""
    return {"": epoch, **(epoch.corpora if len(epoch.corpora) > 1 else {})}


class Board:
    """Writes TensorBoard event files, where tensorboard is installed; else nothing.

    Args:
        folder: of the run.
        first: number of the first epoch to come; what the files already tell of it and later ones is hidden.
    """

    def __init__(self, folder: Path, first: int = 1) -> None:
        self._writer: Any = None
        with suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=first)

    def add(self, epoch: Epoch) -> None:
        """Tell of an epoch: the means, and each corpus where there are several."""
        if self._writer is None:
            return
        self._writer.add_scalar("learning rate", epoch.learning_rate, epoch.epoch)
        for corpus, scores in _scores(epoch).items():
            for name in ("loss", "validation_loss", "validation_uar"):
                tag = f"{name}/{corpus}" if corpus else name
                self._writer.add_scalar(tag, getattr(scores, name), epoch.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()


def draw(path: Path, epochs: Sequence[Epoch]) -> None:
    """Draw losses and validation recalls of all epochs as a PNG, where matplotlib is installed.

    Args:
        path: of the picture.
        epochs: one or more.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     draw(Path(folder) / "curves.png", [Epoch(1, 0.7, 0.8, 0.6, 1e-3, 9.0, 9.0, {})])
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    # Not pyplot: it chooses a display, and keeps what it drew.
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    numbers = [epoch.epoch for epoch in epochs]
    left.plot(numbers, [epoch.loss for epoch in epochs], label="training")
    left.plot(numbers, [epoch.validation_loss for epoch in epochs], label="validation")
    for corpus in _scores(epochs[-1]):
        style = {"linewidth": 0.8} if corpus else {"color": "black", "zorder": 3}
        right.plot(
            numbers, [_scores(epoch)[corpus].validation_uar for epoch in epochs], label=corpus or "mean", **style
        )
    best = max(epochs, key=lambda epoch: (epoch.validation_uar, epoch.epoch))
    right.axvline(best.epoch, color="grey", linestyle=":", label=f"best epoch, {best.epoch}")
    right.set_ylim(0, 1)
    for axes, title in ((left, "loss"), (right, "validation UAR")):
        axes.set(xlabel="epoch", title=title)
        axes.legend(fontsize="small", ncols=1 + len(epochs[-1].corpora) // 12)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_whole(path, picture.getvalue())
