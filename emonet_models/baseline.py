"""The baseline as the benchmark sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emonet_models.batches import CorpusData, Wave
from emonet_models.evaluation import predict_probabilities
from emonet_models.network import EmoNet
from emonet_models.settings import Settings
from emonet_models.training import train as run_training
from emoset.errors import ModelError

if TYPE_CHECKING:
    from datasets import Dataset


class Baseline:
    """EmoNet's network, trained afresh on every corpus, or a trained model folder.

    Args:
        preset: ``baseline`` or ``as-published``.
        folder: a trained model; ``fit`` then trains nothing.
        corpus: of a trained model with several: whose classes are predicted.
        out: where ``fit`` leaves the model folder; None: nowhere.
        **overrides: settings that differ from the preset's.

    Raises:
        UnknownNameError: no such preset or setting, or a corpus that the trained model does not have.
        ModelError: a value that a setting does not take, a model folder that cannot be read or has several corpora
            of which none is named.

    Example:
        >>> Baseline(epochs=1).name
        'EmoNet ResNet (epochs=1)'
    """

    def __init__(
        self,
        preset: str = "baseline",
        *,
        folder: str | Path | None = None,
        corpus: str | None = None,
        out: str | Path | None = None,
        **overrides: Any,
    ) -> None:
        self._network: EmoNet | None = None
        self._corpus, self._fixed, self._out = "corpus", folder is not None, out
        self.classes: tuple[str, ...] = ()
        """Class names in the order of ``predict_proba``'s columns; empty before ``fit``."""
        if folder is None:
            if corpus is not None:
                got, cure = f"corpus {corpus!r} without a model folder", "leave corpus out: fit takes the data's"
                raise ModelError(got, expected="folder= of a trained model", cure=cure)
            self.settings = Settings.preset(preset, **overrides)
            shown = [preset] if preset != "baseline" else []
            shown += [f"{key}={value}" for key, value in overrides.items()]
            self.name = "EmoNet ResNet" + (f" ({', '.join(shown)})" if shown else "")
            return
        if overrides:
            got = f"settings {', '.join(overrides)} beside a model folder"
            raise ModelError(got, where=str(folder), expected="one or the other")
        self._network = EmoNet.from_pretrained(folder)
        self._corpus = self._network.corpus_of(corpus)
        self.settings, self.classes = self._network.settings, self._network.classes[self._corpus]
        self.name = f"EmoNet ResNet ({Path(folder).name})"

    def fit(self, train: Dataset, validation: Dataset) -> Baseline:
        """Train; with a model folder, only check that its classes are those of the data.

        Args:
            train: rows with ``audio`` (float32, 16 kHz) and ``label`` (a ``ClassLabel``). Read once.
            validation: the same, of other speakers. Read once.

        Returns:
            Itself.

        Raises:
            ModelError: the classes differ, or training is not possible.
        """
        names = tuple(train.features["label"].names)
        if self._fixed:
            _same(names, self.classes, "training set", "the model")
            return self
        _same(tuple(validation.features["label"].names), names, "validation set", "the training set")
        pairs = [list(zip(_waves(part), part["label"], strict=True)) for part in (train, validation)]
        corpora = {self._corpus: CorpusData(pairs[0], pairs[1], names)}
        self._network, self.classes = run_training(self.settings, corpora, out=self._out).network, names
        return self

    def predict(self, test: Dataset) -> list[str]:
        """The most probable class of every utterance.

        Args:
            test: rows with ``audio``; labels are not looked at.

        Returns:
            Class names, one per row.

        Raises:
            ModelError: there is no trained network yet.
        """
        return [self.classes[index] for index in self.predict_proba(test).argmax(1)]

    def predict_proba(self, test: Dataset) -> npt.NDArray[np.float64]:
        """Class probabilities of every utterance.

        Args:
            test: rows with ``audio``.

        Returns:
            (rows, classes), in the order of ``classes``.

        Raises:
            ModelError: there is no trained network yet.
        """
        if self._network is None:
            raise ModelError("there is no trained network yet", cure="call fit, or give folder=")
        return predict_probabilities(self._network, self.settings, _waves(test), self._corpus)


def _waves(dataset: Dataset) -> Iterator[Wave]:
    return (np.asarray(row["audio"]["array"], dtype=np.float32) for row in dataset)


def _same(found: tuple[str, ...], own: tuple[str, ...], where: str, owner: str) -> None:
    """Refuse class lists that differ."""
    if found != own:
        parts = [f"{name} not in {owner}" for name in found if name not in own]
        parts += [f"without {name}" for name in own if name not in found]
        got = f"classes {', '.join(found)} ({'; '.join(parts) or 'another order'})"
        cure = "use a model that was trained on these classes"
        raise ModelError(got, where=where, expected=f"those of {owner}: {', '.join(own)}", cure=cure)
