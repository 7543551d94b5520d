"""Samples: which utterances of each class are shown, and what of them goes into the page."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from emoset.looking.figures import Corpus, Row, samples_of
from emoset.looking.spectrograms import picture
from emoset.schema import SAMPLING_RATE, SPLITS

LONGEST: Final = 6.0
"""Seconds of an utterance that go into the page at most."""


def choose(rows: Iterable[Row], per_class: int, seed: int = 0) -> list[Row]:
    """Utterances of each class, spread over splits, speakers and genders, the same for the same rows and seed.

    Args:
        rows: to choose from, in any order.
        per_class: how many of each class, where there are as many.
        seed: chooses others.

    Returns:
        Those chosen, by class, split and id.
    """
    by_class: dict[str, list[tuple[bytes, Row]]] = defaultdict(list)
    for row in rows:
        by_class[row.label].append((hashlib.sha256(f"{seed}\n{row.id}".encode()).digest(), row))
    chosen = [row for ranked in by_class.values() for row in _spread(ranked, per_class)]
    return sorted(chosen, key=lambda row: (row.label, SPLITS.index(row.split), row.id))


def _spread(ranked: list[tuple[bytes, Row]], count: int) -> list[Row]:
    """One after the other, that which is most unlike those taken; among equals that of the smallest hash."""
    used: dict[str, Counter[str | None]] = {name: Counter() for name in ("split", "speaker", "gender")}
    left = sorted(ranked, key=lambda item: item[0])
    taken: list[Row] = []
    while left and len(taken) < count:
        best = min(left, key=lambda item: tuple(counts[getattr(item[1], name)] for name, counts in used.items()))
        left.remove(best)
        taken.append(best[1])
        for name, counts in used.items():
            counts[getattr(best[1], name)] += 1
    return taken


def told_of(corpus: Corpus, row: Row) -> dict[str, Any]:
    """What the page tells of a sample; nothing where the corpus tells nothing."""
    told = {
        "corpus": corpus.name, "id": row.id, "label": row.label, "raw": row.label_raw, "emotion": row.emotion,
        "split": row.split, "speaker": row.speaker, "gender": row.gender, "language": row.language, "text": row.text,
        "seconds": round(row.sound.seconds, 2), "shown": min(round(row.sound.seconds, 2), LONGEST),
        "level": round(row.sound.rms_db, 1), "peak": round(20 * np.log10(max(row.sound.peak, 1e-6)), 1),
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def media_of(row: Row) -> dict[str, str]:
    """The picture and the sound of a sample, in base 64: PNG and FLAC, which every current browser plays."""
    samples = samples_of(row)[: round(LONGEST * SAMPLING_RATE)]
    return {"picture": _base64(picture(samples)), "audio": _base64(_flac(samples))}


def _flac(samples: NDArray[np.int16]) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLING_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
