"""EmoNet's baseline: a residual network on log-mel maps, its training, and its place in the benchmark.

Source: Gerczuk, Amiriparian, Ottl, Schuller: EmoNet: A Transfer Learning Framework for Multi-Corpus Speech
Emotion Recognition. Nothing is imported before it is asked for: ``import emonet_models`` is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emonet_models.baseline import Baseline
    from emonet_models.batches import CorpusData
    from emonet_models.converting import convert
    from emonet_models.evaluation import predict_probabilities
    from emonet_models.network import EmoNet
    from emonet_models.settings import Settings
    from emonet_models.training import Epoch, TrainingResult, train
    from emonet_models.weights import load, save

__all__ = [
    "Baseline", "CorpusData", "EmoNet", "Epoch", "Settings", "TrainingResult", "convert",
    "load", "predict_probabilities", "save", "train",
]  # fmt: skip

_HOMES = {
    "Baseline": "baseline",
    "CorpusData": "batches",
    "EmoNet": "network",
    "Epoch": "training",
    "Settings": "settings",
    "TrainingResult": "training",
    "convert": "converting",
    "load": "weights",
    "predict_probabilities": "evaluation",
    "save": "weights",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'emonet_models' has no attribute {name!r}")
    return getattr(importlib.import_module(f"emonet_models.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
