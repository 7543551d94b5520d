"""From utterances to batches: what a batch is, how items become one, and the memory that holds it."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Item: TypeAlias = dict[str, Any]
"""One utterance: ``audio``, ``label``, ``length``, and ``corpus`` where there are several."""

Wave: TypeAlias = npt.NDArray[np.float32]

_LARGE: Final = 2**18
_BLOCKS: Final = 4
"""Samples from which on a batch's memory is worth keeping, and how many batches' is kept."""


class Batch:
    """Utterances that were read together: a sequence of items that shares their memory, and as one for `collate`.

    Args:
        tensors: as `collate` returns them.
        ragged: items end with their signal; otherwise all have the length of the longest.
    """

    def __init__(self, tensors: dict[str, Tensor], ragged: bool) -> None:
        self.tensors, self._ragged = tensors, ragged

    def __len__(self) -> int:
        return len(self.tensors["label"])

    def __getitem__(self, index: int) -> Item:
        """One item, as `UtteranceDataset` gives it."""
        numbers = {key: int(values[index]) for key, values in self.tensors.items() if key != "audio"}
        audio = self.tensors["audio"][index]
        return {"audio": audio[: numbers["length"]] if self._ragged else audio, **numbers}


def collate(items: Sequence[Item] | Batch) -> dict[str, Tensor]:
    """Items as one batch, with zeros after the shorter signals.

    Args:
        items: of ``UtteranceDataset``, one or more.

    Returns:
        ``audio``, float32 (batch, longest); ``label`` and ``length``, int64 (batch,); with several corpora also
        ``corpus``, int64 (batch,). `mask` tells signal from zeros.

    Example:
        >>> batch = collate([{"audio": torch.ones(n), "label": 0, "length": n} for n in (1, 3)])
        >>> batch["audio"].tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    if isinstance(items, Batch):
        return items.tensors
    audio = torch.nn.utils.rnn.pad_sequence([item["audio"] for item in items], batch_first=True)
    numbers = (key for key in ("label", "length", "corpus") if key in items[0])
    return {"audio": audio, **{key: torch.tensor([item[key] for item in items]) for key in numbers}}


def mask(length: Tensor, longest: int | None = None) -> Tensor:
    """Where the signals of a batch are, and not the zeros after them.

    Args:
        length: int64 (batch,), as in a batch; of samples, or of frames.
        longest: columns of the result; default: the greatest length.

    Returns:
        bool (batch, longest).

    Example:
        >>> mask(torch.tensor([1, 3])).int().tolist()
        [[1, 0, 0], [1, 1, 1]]
    """
    columns = int(length.max()) if longest is None else longest
    return torch.arange(columns, device=length.device) < length[:, None]


class Memory:
    """Memory for large batches, taken again once nobody holds the batch: fresh pages cost as much as their filling."""

    def __init__(self) -> None:
        self._blocks: deque[tuple[Wave, weakref.ref[Wave]]] = deque()

    def take(self, rows: int, columns: int) -> Wave:
        """An array that is not filled yet."""
        size = rows * columns
        if size < _LARGE:
            return np.empty((rows, columns), dtype=np.float32)
        block = None
        for _ in range(len(self._blocks)):
            known, user = self._blocks.pop()  # so that no other thread finds it; the last one is nearest to the cache
            if user() is not None:
                self._blocks.appendleft((known, user))
            elif size <= len(known) <= 2 * size:
                block = known
                break
        if block is None:
            block = np.empty(size, dtype=np.float32)
        array = block[:size].reshape(rows, columns)  # the tensor made of it holds this view, not the block
        self._blocks.append((block, weakref.ref(array)))
        if len(self._blocks) > _BLOCKS:
            self._blocks.popleft()
        return array
