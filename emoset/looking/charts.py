"""Charts: small inline SVG, coloured by the page's style sheet, in which every bar tells its numbers."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

_WIDTH: Final = 320
_HEIGHT: Final = 132
_LEFT: Final = 34
_WIDE: Final = _WIDTH - _LEFT - 6
_TOP: Final = 8
_HIGH: Final = _HEIGHT - _TOP - 20
_FOOT: Final = _TOP + _HIGH

_MOST_COLUMNS: Final = 130
_BINS: Final = 24
"""About as many bins has a histogram of durations."""


def text(value: object) -> str:
    """Anything as text that is safe in HTML and in its attributes.

    Example:
        >>> text("<b>")
        '&lt;b&gt;'
    """
    return html.escape(str(value))


def number(value: float, digits: int = 0) -> str:
    """A number for people: thousands apart, a true minus sign.

    Example:
        >>> number(12345.67, 1)
        '12,345.7'
    """
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def share_bar(counts: Mapping[str, int], most: int) -> str:
    """A bar of one part for each split, as long as its share of the longest.

    Example:
        >>> share_bar({"train": 3, "test": 1}, 4).count("<rect")
        2
    """
    parts, start = [], 0.0
    for split, count in counts.items():
        width = 100 * count / max(most, 1)
        if count:
            parts.append(f'<rect class="{split}" x="{start:.2f}%" width="{width:.2f}%" height="100%"/>')
        start += width
    return f'<svg class="bar" aria-hidden="true">{"".join(parts)}</svg>'


def histogram(
    values: Mapping[str, NDArray[np.float64]], edges: Sequence[float], unit: str, name: str, tails: str = ""
) -> str:
    """How often values lie between edges, stacked by split.

    Args:
        values: of each split.
        edges: of the bins, rising and evenly apart; values beyond count in the outermost bins.
        unit: of the values.
        name: what is counted, for those who cannot see it.
        tails: ``<`` and ``>``: which of the outermost bins hold values beyond.
    """
    low, high = edges[0], edges[-1]
    counts = {
        split: np.histogram(np.clip(of, low, np.nextafter(high, low)), np.asarray(edges))[0].astype(float).tolist()
        for split, of in values.items()
    }
    digits = _digits(edges[1] - edges[0])
    ends = [number(edge, digits) for edge in edges]
    titles = [f"{first} to {last} {unit}" for first, last in pairwise(ends)]
    if "<" in tails:
        titles[0] = f"below {ends[1]} {unit}"
    if ">" in tails:
        titles[-1] = f"{ends[-2]} {unit} and more"
    step = _nice((high - low) / 5)
    marks = [mark * step for mark in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    labels = [((mark - low) / (high - low), number(mark, _digits(step))) for mark in marks]
    return _columns(counts, titles, labels, name)


def speaker_columns(speakers: Mapping[str, Sequence[tuple[str, int]]], name: str) -> tuple[str, bool]:
    """A column for each speaker, as high as the number of utterances, and whether it stands for the mean of several.

    Args:
        speakers: split to its speakers with their numbers of utterances.
        name: of the chart.
    """
    each = math.ceil(sum(map(len, speakers.values())) / _MOST_COLUMNS)
    heights: dict[str, list[float]] = {split: [] for split in speakers}
    titles = []
    for split, ranked in speakers.items():
        for start in range(0, len(ranked), each):
            part = ranked[start : start + each]
            mean = sum(count for _, count in part) / len(part)
            titles.append(part[0][0] if len(part) == 1 else f"mean of {len(part)} speakers")
            for other, of in heights.items():
                of.append(mean if other == split else 0)
    return _columns(heights, titles, [], name), each > 1


def duration_edges(seconds: NDArray[np.float64]) -> tuple[list[float], str]:
    """Bins for durations, from 0, and whether the last one holds a long tail.

    Example:
        >>> edges, tails = duration_edges(np.array([1.0, 2.0, 3.0]))
        >>> edges[:3], edges[-1], tails
        ([0.0, 0.2, 0.4], 3.2, '')
    """
    longest, usual = float(seconds.max()), float(np.quantile(seconds, 0.99))
    end = usual * 1.2 if longest > 1.5 * usual else longest
    step = _nice(end / _BINS)
    count = math.floor(end / step + 1e-9) + 1
    return [round(edge * step, 6) for edge in range(count + 1)], ">" if longest >= count * step else ""


def _columns(
    heights: Mapping[str, Sequence[float]], titles: Sequence[str], labels: Sequence[tuple[float, str]], name: str
) -> str:
    """Stacked columns over an axis.

    Args:
        heights: of each split's part of every column.
        titles: what each column stands for.
        labels: of the horizontal axis: place from 0 to 1, and text.
        name: of the chart.
    """
    most = max((sum(of) for of in zip(*heights.values(), strict=True)), default=0)
    step = _nice(max(most, 1) / 3, whole=True)
    top = step * math.ceil(max(most, 1) / step)
    parts = []
    for mark in range(round(top / step) + 1):
        y = _FOOT - _HIGH * mark * step / top
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}h{_WIDE}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 3.2:.1f}" text-anchor="end">{number(mark * step)}</text>')
    pitch = _WIDE / max(len(titles), 1)
    width = pitch - min(1.0, pitch * 0.15)
    for place, title in enumerate(titles):
        x, y, told, rects = _LEFT + (place + 0.5) * pitch - width / 2, float(_FOOT), [], []
        for split, of in heights.items():
            if of[place]:
                tall = _HIGH * of[place] / top
                y -= tall
                box = f'x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{tall:.2f}"'
                rects.append(f'<rect class="{split}" {box}/>')
                told.append(f"{split} {number(of[place], 0 if of[place] % 1 == 0 else 1)}")
        if rects:
            parts.append(f"<g><title>{text(title)}: {', '.join(told)}</title>{''.join(rects)}</g>")
    for share, label in labels:
        anchor = "start" if share < 0.02 else "end" if share > 0.98 else "middle"
        x = _LEFT + _WIDE * share
        parts.append(f'<text x="{x:.1f}" y="{_FOOT + 13}" text-anchor="{anchor}">{text(label)}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {_FOOT}h{_WIDE}"/>')
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg class="chart" {box} role="img" aria-label="{text(name)}">{"".join(parts)}</svg>'


def _nice(step: float, whole: bool = False) -> float:
    """The smallest of 1, 2, 5, 10 and so on, times a power of ten, that is not below; whole numbers if asked for."""
    if whole and step <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9)))


def _digits(step: float) -> int:
    """Digits after the point that tell multiples of a step apart."""
    return max(0, -math.floor(math.log10(step) + 1e-9))
