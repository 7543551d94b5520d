"""EmoSet (speech): recipes, shards, loading and a benchmark for speech emotion recognition.

Example:
    >>> import emoset
    >>> emoset.get_recipe("emodb").title
    'Berlin Database of Emotional Speech'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emoset.benchmarking import benchmark
    from emoset.building import build
    from emoset.checking import check
    from emoset.downloading import download
    from emoset.errors import EmosetError
    from emoset.loading import load_dataset, load_folds
    from emoset.locating import locate, status
    from emoset.looking import report
    from emoset.publishing import publish
    from emoset.registry import get_recipe, list_corpora
    from emoset.twins import twin
    from emoset.verifying import verify

__all__ = [
    "EmosetError", "benchmark", "build", "check", "download", "get_recipe", "list_corpora", "load_dataset",
    "load_folds", "locate", "publish", "report", "status", "twin", "verify",
]  # fmt: skip

# Looked up on first use: `import emoset` costs next to nothing and pulls in neither torch nor datasets.
_HOMES = {
    "EmosetError": "emoset.errors",
    "benchmark": "emoset.benchmarking",
    "build": "emoset.building",
    "check": "emoset.checking",
    "download": "emoset.downloading",
    "get_recipe": "emoset.registry",
    "list_corpora": "emoset.registry",
    "load_dataset": "emoset.loading",
    "load_folds": "emoset.loading",
    "locate": "emoset.locating",
    "publish": "emoset.publishing",
    "report": "emoset.looking",
    "status": "emoset.locating",
    "twin": "emoset.twins",
    "verify": "emoset.verifying",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'emoset' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
