"""Pictures of results and corpora; needs matplotlib, which is imported when the first one is drawn."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emoset.benchmarking.results import CorpusResult, Results
from emoset.errors import BenchmarkError
from emoset.staging import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SPLIT_COLOURS: Final = {"train": "#0072B2", "validation": "#E69F00", "test": "#009E73"}
"""Okabe and Ito's colours, which differ for colour-blind readers too, and in grey."""

_PER_PAGE: Final = 12
_COLUMNS: Final = 4
_SIDE: Final = 3.8
"""Width of a panel with its labels, in inches."""

_FRAME: Final = 3.0
"""What title and axis of a bar panel take, in bars."""


def confusion_picture(results: Results, path: str | Path) -> list[Path]:
    """Draw a confusion matrix per corpus: counts in the cells, coloured by their share of the row.

    Args:
        results: what ``benchmark`` returned.
        path: a .png file; from 13 corpora on, further pages go beside it as name-2.png and so on.

    Returns:
        The files written.

    Raises:
        BenchmarkError: matplotlib is not installed.
    """
    written = []
    for number, page in _pages(results.corpora):
        figure, panels = _grid([1.0] * len(page), _SIDE)
        for (panel, _), result in zip(panels, page, strict=True):
            _confusion(panel, result)
        figure.suptitle(textwrap.fill(results.model, 40), fontsize=11)
        figure.supxlabel("prediction (counts; colour: share of the row)", fontsize=9)
        figure.supylabel("reference", fontsize=9)
        written.append(_save(figure, _page_path(Path(path), number)))
    return written


def class_counts_picture(data: Mapping[str, Mapping[str, Mapping[str, int]]], path: str | Path) -> list[Path]:
    """Draw the number of utterances per class and split, a panel per corpus.

    Args:
        data: corpus to split to label to number of utterances.
        path: a .png file; from 13 corpora on, further pages go beside it as name-2.png and so on.

    Returns:
        The files written.

    Raises:
        BenchmarkError: no corpora, or matplotlib is not installed.
    """
    if not data:
        raise BenchmarkError("no corpora to draw", expected="at least one")
    written = []
    for number, page in _pages(list(data.items())):
        figure, panels = _grid([_FRAME + len(_labels(splits)) for _, splits in page], 0.25)
        for (panel, height), (corpus, splits) in zip(panels, page, strict=True):
            _counts(panel, height - _FRAME, corpus, splits)
        handles, names = _legend([panel for panel, _ in panels])
        figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False, fontsize=9)
        written.append(_save(figure, _page_path(Path(path), number)))
    return written


def _confusion(panel: Axes, result: CorpusResult) -> None:
    counts = np.array(result.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(result.classes))
    panel.set_xticks(places, result.classes, rotation=90)
    panel.set_yticks(places, result.classes)
    cell = 0.7 * _SIDE * 72 / len(result.classes)
    panel.tick_params(length=0, labelsize=min(8.0, 0.75 * cell))
    panel.set_title(f"{result.corpus}\nUAR {result.uar}", fontsize=10)
    for row in places:
        for column in places:
            if counts[row, column]:
                colour = "white" if shares[row, column] > 0.5 else "black"
                size = min(8.0, 1.4 * cell / max(2, len(str(counts[row, column]))))
                text = str(counts[row, column])
                panel.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def _counts(panel: Axes, lines: float, corpus: str, splits: Mapping[str, Mapping[str, int]]) -> None:
    labels = _labels(splits)
    left = np.zeros(len(labels))
    for split, counts in splits.items():
        widths = np.array([counts.get(label, 0) for label in labels])
        panel.barh(labels, widths, left=left, color=_SPLIT_COLOURS.get(split, "#999999"), label=split)
        left += widths
    for place, total in enumerate(left):
        panel.annotate(
            f"{total:.0f}", (total, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8
        )
    panel.set_xlim(0, max(left.max(initial=0), 1) * 1.18)
    # Bars of one row of panels are equally thick, however many classes a corpus has.
    panel.set_ylim(lines - 0.5, -0.5)
    panel.tick_params(labelsize=8)
    panel.tick_params(axis="y", length=0)
    panel.locator_params(axis="x", nbins=4)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_title(f"{corpus}: {left.sum():.0f} utterances", fontsize=9)


def _labels(splits: Mapping[str, Mapping[str, int]]) -> list[str]:
    return sorted({label for counts in splits.values() for label in counts})


def _legend(panels: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    return list(found.values()), list(found)


def _pages(items: Sequence[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
    pages = -(-len(items) // _PER_PAGE)
    for number, places in enumerate(np.array_split(np.arange(len(items)), pages), start=1):
        yield number, [items[place] for place in places]


def _page_path(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_stem(f"{path.stem}-{number}")


def _grid(heights: Sequence[float], unit: float) -> tuple[Figure, list[tuple[Axes, float]]]:
    """A figure with a panel for each height, in units of inches; a row is as high as its highest panel."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BenchmarkError(
            "matplotlib is not installed", expected="it, to draw", cure="pip install 'emoset-speech[report]'"
        ) from error
    columns = min(_COLUMNS, math.ceil(math.sqrt(len(heights))))
    rows = [max(heights[start : start + columns]) for start in range(0, len(heights), columns)]
    # Without pyplot: nothing global is touched, and no display is looked for.
    figure = Figure(figsize=(columns * _SIDE, sum(rows) * unit + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(rows), columns, height_ratios=rows)
    places = [divmod(place, columns) for place in range(len(heights))]
    return figure, [(figure.add_subplot(grid[place]), rows[place[0]]) for place in places]


def _save(figure: Figure, path: Path) -> Path:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150, metadata={"Software": None})
    return write_whole(path, picture.getvalue())
