"""The benchmark: one protocol for any model, with figures that state their uncertainty and conditions."""

from emoset.benchmarking.contract import Model, resolve_model
from emoset.benchmarking.metrics import accuracy, bootstrap_interval, confusion_matrix, macro_f1, uar
from emoset.benchmarking.results import CorpusResult, Results
from emoset.benchmarking.running import benchmark

__all__ = [
    "CorpusResult",
    "Model",
    "Results",
    "accuracy",
    "benchmark",
    "bootstrap_interval",
    "confusion_matrix",
    "macro_f1",
    "resolve_model",
    "uar",
]
