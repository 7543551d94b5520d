"""Prediction: class probabilities and embeddings of any audio files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from emonet_models.batches import Wave
from emonet_models.evaluation import judge
from emonet_models.network import EmoNet
from emoset.audio import SUFFIXES, decode, read_bytes
from emoset.errors import AudioError, ModelError

AT_ONCE: Final = 32
"""Files that are read before they go through the network together."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of one file.

    Args:
        file: as it was named.
        probabilities: of the classes, in their order; empty if the file could not be read.
        embedding: pooled features of the network, float32, shape (features,); None unless asked for.
        error: why the file could not be read, or nothing.
    """

    file: str
    probabilities: dict[str, float]
    embedding: npt.NDArray[np.float32] | None = None
    error: str = ""

    @property
    def label(self) -> str:
        """The most probable class; of equals, the first."""
        return max(self.probabilities, key=lambda name: self.probabilities[name]) if self.probabilities else ""


def audio_files(paths: Iterable[str | Path]) -> list[Path]:
    """The files that are named, and those in folders that are named, at any depth, sorted.

    Args:
        paths: of files and folders.

    Raises:
        ModelError: one does not exist, or a folder holds no audio.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise ModelError("there is no such file", where=str(path), cure="correct the path")
        inside = [path]
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not inside:
            raise ModelError("the folder holds no audio", where=str(path), expected="files such as .wav or .flac")
        found += inside
    return list(dict.fromkeys(found))


def predict(
    network: EmoNet, files: Iterable[str | Path], corpus: str | None = None, *, embeddings: bool = False
) -> Iterator[Prediction]:
    """Judge audio files of any rate, length, channel count and container.

    Args:
        network: trained, such as ``EmoNet.from_pretrained(folder)``.
        files: paths; each is decoded, averaged over channels and resampled to 16 kHz, as corpora are by a build.
        corpus: whose classes are wanted; may be left out if the network knows one only.
        embeddings: True for the features before the head as well, averaged over windows.

    Yields:
        One prediction per file, in order; a file that cannot be read has an ``error`` and no probabilities.

    Raises:
        UnknownNameError: the network does not know the corpus.
        ModelError: several corpora, and none is named.

    Example:
        >>> import soundfile, tempfile
        >>> from emonet_models import EmoNet, Settings
        >>> network = EmoNet(Settings(filters=1, blocks=1), {"emodb": 2})
        >>> network.classes["emodb"] = ("anger", "neutral")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     soundfile.write(f"{folder}/a.wav", np.random.default_rng(0).normal(0, 0.1, (48_000, 2)), 48_000)
        ...     [found] = predict(network, [f"{folder}/a.wav"])
        >>> sorted(found.probabilities)
        ['anger', 'neutral']
    """
    corpus = network.corpus_of(corpus)
    waiting = iter(files)
    while part := list(islice(waiting, AT_ONCE)):
        read = [_read(path) for path in part]
        waves = [wave for wave in read if not isinstance(wave, str)]
        judged = zip(*judge(network, network.settings, waves, corpus), strict=True) if waves else iter(())
        for path, wave in zip(part, read, strict=True):
            if isinstance(wave, str):
                yield Prediction(str(path), {}, error=wave)
            else:
                scores, features = next(judged)
                row = dict(zip(network.classes[corpus], map(float, scores), strict=True))
                yield Prediction(str(path), row, features.astype(np.float32) if embeddings else None)


def table(predictions: Iterable[Prediction], classes: Sequence[str], *, as_json: bool = False) -> str:
    """Predictions as text: CSV with a column for each class, or a JSON list.

    Args:
        predictions: of one network and corpus.
        classes: in the order of the columns.
        as_json: JSON in place of CSV.

    Example:
        >>> print(table([Prediction("a.wav", {"anger": 0.25, "joy": 0.75})], ["anger", "joy"]), end="")
        file,label,anger,joy,error
        a.wav,joy,0.250000,0.750000,
    """
    predictions = list(predictions)
    if as_json:
        rows = [
            {"file": p.file, "label": p.label, "probabilities": p.probabilities, "error": p.error}
            | ({} if p.embedding is None else {"embedding": [round(float(value), 6) for value in p.embedding]})
            for p in predictions
        ]
        return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    width = max((len(p.embedding) for p in predictions if p.embedding is not None), default=0)
    columns = [*classes, *(f"embedding_{number}" for number in range(width))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "label", *columns, "error"])
    for p in predictions:
        numbers = [f"{p.probabilities[name]:.6f}" for name in classes if p.probabilities]
        numbers += [] if p.embedding is None else [f"{value:.6g}" for value in p.embedding]
        writer.writerow([p.file, p.label, *(numbers or [""] * len(columns)), p.error])
    return text.getvalue()


def _read(path: str | Path) -> Wave | str:
    """The waveform, or why there is none."""
    try:
        samples = decode(read_bytes(path, str(path)), str(path), path=path).samples
    except AudioError as error:
        return str(error)
    return samples.astype(np.float32) / np.float32(32768)
