"""The course of a training as pictures: TensorBoard events while it runs, a PNG of its curves at the end."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emonet_models.state import Epoch
from emoset.staging import write_whole


class Board:
    """Writes TensorBoard event files, where tensorboard is installed; else nothing.

    Args:
        folder: of the run.
        first: number of the first epoch to come; what the files already tell of it and later ones is hidden.
    """

    def __init__(self, folder: Path, first: int = 1) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder), purge_step=first)

    def add(self, epoch: Epoch) -> None:
        """Tell of an epoch: the means, and each corpus where there are several."""
        if self._writer is None:
            return
        values = {"learning rate": epoch.learning_rate}
        for name in ("loss", "validation_loss", "validation_uar"):
            values[name] = getattr(epoch, name)
            if len(epoch.corpora) > 1:
                values |= {f"{name}/{corpus}": getattr(scores, name) for corpus, scores in epoch.corpora.items()}
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()


def draw(path: Path, epochs: Sequence[Epoch]) -> bool:
    """Draw losses and validation recalls of all epochs as a PNG, where matplotlib is installed.

    Args:
        path: of the picture.
        epochs: one or more.

    Returns:
        Whether it was drawn.

    Example:
        >>> draw(Path("curves.png"), [])
        False
    """
    if not epochs:
        return False
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    # Not pyplot: it chooses a display, and keeps what it drew.
    figure = Figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2, gridspec_kw={"left": 0.06, "right": 0.98, "bottom": 0.12, "top": 0.92})
    numbers = [epoch.epoch for epoch in epochs]
    left.plot(numbers, [epoch.loss for epoch in epochs], label="training")
    left.plot(numbers, [epoch.validation_loss for epoch in epochs], label="validation")
    corpora = list(epochs[-1].corpora)
    if len(corpora) > 1:
        for corpus in corpora:
            right.plot(numbers, [epoch.corpora[corpus].validation_uar for epoch in epochs], linewidth=0.8, label=corpus)
    label = "mean" if len(corpora) > 1 else None
    right.plot(numbers, [epoch.validation_uar for epoch in epochs], color="black", label=label)
    best = max(epochs, key=lambda epoch: (epoch.validation_uar, epoch.epoch))
    right.axvline(best.epoch, color="grey", linestyle=":", label=f"best epoch, {best.epoch}")
    for axes, title in ((left, "loss"), (right, "validation UAR")):
        axes.set(xlabel="epoch", title=title)
        axes.legend(fontsize="small", ncols=1 + len(corpora) // 12)
    right.set_ylim(0, 1)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_whole(path, picture.getvalue())
    return True
