"""The benchmark: one protocol for any model, with figures that state their uncertainty and conditions."""

from emoset.benchmarking.comparison import ModelComparison, ModelScore, compare_models
from emoset.benchmarking.contract import Model, resolve_model
from emoset.benchmarking.metrics import accuracy, bootstrap_interval, confusion_matrix, macro_f1, uar
from emoset.benchmarking.results import CorpusResult, Results
from emoset.benchmarking.running import benchmark
from emoset.benchmarking.significance import McNemar, mcnemar

__all__ = [
    "CorpusResult",
    "McNemar",
    "Model",
    "ModelComparison",
    "ModelScore",
    "Results",
    "accuracy",
    "benchmark",
    "bootstrap_interval",
    "compare_models",
    "confusion_matrix",
    "macro_f1",
    "mcnemar",
    "resolve_model",
    "uar",
]
