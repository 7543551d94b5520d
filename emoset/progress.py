"""One progress bar for all long work, on standard error, silent where nobody watches."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress


class Progress:
    """A bar that counts steps or bytes.

    Args:
        title: what is being done.
        total: number of steps; None where it is unknown.
        show: False for silence.
        in_bytes: whether the steps are bytes.

    Example:
        >>> with Progress("emodb", 2, show=False) as bar:
        ...     bar.advance()
    """

    def __init__(self, title: str, total: int | None, show: bool = True, in_bytes: bool = False) -> None:
        counts = (DownloadColumn(), TransferSpeedColumn()) if in_bytes else (MofNCompleteColumn(),)
        self._bar = RichProgress(
            TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn(),
            console=Console(file=sys.stderr), disable=not show or not sys.stderr.isatty(),
        )  # fmt: skip
        self._task = self._bar.add_task(title, total=total)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done."""
        self._bar.advance(self._task, steps)
