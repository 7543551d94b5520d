"""Devices and processes: which one trains, and what they have to agree on."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from emoset.errors import ModelError

Device: TypeAlias = Literal["cpu", "cuda"]


def accelerator_for(device: Device | None) -> Accelerator:
    """Accelerate on the device that is asked for.

    Args:
        device: "cpu", "cuda", or None for what there is.

    Returns:
        The accelerator of this process.

    Raises:
        ModelError: a GPU is asked for and there is none, or accelerate is at work on another device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        cure = "leave device out, or install a PyTorch that sees the GPU"
        raise ModelError("there is no CUDA device", where="training", expected="a GPU", cure=cure)
    # The moving statistics are averaged over the processes after each step, not taken from the first one.
    handler = DistributedDataParallelKwargs(broadcast_buffers=False)
    try:
        accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no", kwargs_handlers=[handler])
    except ValueError as error:
        raise ModelError(f"accelerate is in use otherwise ({error})", where="training", cure="start anew") from None
    if device is not None and accelerator.device.type != device:
        got = f"accelerate works on {accelerator.device.type}"
        raise ModelError(got, where="training", expected=device, cure="leave device out, or start anew")
    return accelerator


class Statistics:
    """Moving statistics where a step has several parts: they move once, by the mean over the parts.

    Args:
        network: in training mode; batch-norms that are frozen are left alone.
    """

    def __init__(self, network: nn.Module) -> None:
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) and m.training]
        self._buffers = [b for m in norms for b in (m.running_mean, m.running_var) if b is not None]
        self._before = self._flat()
        self._sum, self._count = torch.zeros_like(self._before), 0

    def take(self) -> None:
        """Note what a part has made of them, and set them back."""
        self._sum, self._count = self._sum + self._flat(), self._count + 1
        self._fill(self._before)

    def put(self, accelerator: Accelerator) -> None:
        """Set them to the mean over all parts of all processes."""
        self._fill(accelerator.reduce(self._sum / self._count, "mean"))

    def _flat(self) -> Tensor:
        return torch.cat([buffer.flatten() for buffer in self._buffers])

    def _fill(self, flat: Tensor) -> None:
        for buffer, values in zip(self._buffers, torch.split(flat, [b.numel() for b in self._buffers]), strict=True):
            buffer.copy_(values.view_as(buffer))
