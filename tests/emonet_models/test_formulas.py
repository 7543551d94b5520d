"""The network against a second computation of its formulas, in float64 and written here: forward, gradients, statistics."""

from __future__ import annotations

import copy
from math import ceil
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import emonet_models.network
from emonet_models import EmoNet, Settings
from emonet_models.weights import tensors

CORPORA = {"v1.2": 3, "core": 2, "keys": 4}
KEYS = {"v1.2": "v1%2E2", "core": "core", "keys": "keys"}
SIZES = {"v1.2": 4, "core": 2, "keys": 3}
COMMON: dict[str, Any] = {"filters": 2, "blocks": 2, "head_dropout": 0.0, "mels": 64}
CASES: dict[str, dict[str, Any]] = {
    "attention, scratch": {"classifier": "FCNAttention", "input_bn": False},
    "avgpool, adapters": {"mode": "adapters", "input_bn": False},
    "shared attention, adapters, batch-norm of the input": {
        "mode": "adapters", "classifier": "FCNAttention", "share_attention": True, "batch_norm_momentum": 0.99,
    },
    "own attention, adapters": {"mode": "adapters", "classifier": "FCNAttention", "factor": 2},
    "avgpool, scratch, batch-norm of the input": {"blocks": 1},
}  # fmt: skip


class Formulas:
    """EmoNet's formulas for one corpus, on named float64 tensors."""

    def __init__(self, values: dict[str, Tensor], settings: Settings, corpus: str, training: bool) -> None:
        self.values, self.settings, self.training = values, settings, training
        self.key = KEYS[corpus]
        self.layer = f"own.{self.key}" if settings.mode == "adapters" else "core"

    def norm(self, name: str, x: Tensor, biased: bool = False) -> Tensor:
        """gamma (x - mean) / sqrt(variance + 0.001) + beta; while training the batch's statistics, and moved ones."""
        gamma, beta, mean, variance = (
            self.values[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        if self.training:
            samples = x.transpose(0, 1).flatten(1)
            n, own = samples.shape[1], samples.mean(1)
            squares = ((samples - own[:, None]) ** 2).mean(1)
            keep = self.settings.batch_norm_momentum
            moved = squares.detach() if biased else squares.detach() * n / (n - 1)
            self.values[f"{name}.running_mean"] = keep * mean + (1 - keep) * own.detach()
            self.values[f"{name}.running_var"] = keep * variance + (1 - keep) * moved
            mean, variance = own, squares
        shape = (1, -1) + (1,) * (x.ndim - 2)
        return gamma.view(shape) * (x - mean.view(shape)) / (variance.view(shape) + 1e-3).sqrt() + beta.view(shape)

    def conv_task(self, name: str, x: Tensor, stride: int) -> Tensor:
        """A sum over the nine cells of the kernel, plus the adapter on every stride-th cell."""
        kernel, (height, width) = self.values[f"{name}.conv.weight"], x.shape[2:]
        rows, columns = ceil(height / stride), ceil(width / stride)
        top = max((rows - 1) * stride + 3 - height, 0) // 2
        left = max((columns - 1) * stride + 3 - width, 0) // 2
        padded = F.pad(x, (left, 3, top, 3))
        y: Tensor = sum(
            torch.einsum(
                "oc,bchw->bohw",
                kernel[:, :, i, j],
                padded[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride],
            )
            for i in range(3)
            for j in range(3)
        )
        if self.settings.mode == "adapters":
            adapter = self.values[f"{name}.adapters.{self.key}.weight"][:, :, 0, 0]
            y = y + torch.einsum("oc,bchw->bohw", adapter, x[:, :, ::stride, ::stride])
        return self.norm(f"{name}.norm.{self.layer}", y)

    def block(self, name: str, x: Tensor, stride: int) -> Tensor:
        y = self.conv_task(f"{name}.second", self.conv_task(f"{name}.first", x, stride).clamp(min=0), 1)
        if stride == 2:  # means of up to 2x2 cells, and as many channels of zeros
            (height, width), ones = x.shape[2:], torch.ones_like(x)
            cells = [
                (part[:, :, i::2, j::2], (ceil(height / 2), ceil(width / 2)))
                for part in (x, ones)
                for i in (0, 1)
                for j in (0, 1)
            ]
            sums = [F.pad(cell, (0, full[1] - cell.shape[3], 0, full[0] - cell.shape[2])) for cell, full in cells]
            pooled = sum(sums[:4]) / sum(sums[4:])
            x = torch.cat([pooled, torch.zeros_like(pooled)], 1)
        return (x + y).clamp(min=0)

    def scores(self, logmel: Tensor) -> Tensor:
        settings = self.settings
        x = logmel[:, None]
        if settings.input_bn:
            x = self.norm(f"input_norm.{self.layer}", x)
        x = self.conv_task("pre_conv", x, 1)
        for number in range(3 * settings.blocks):
            x = self.block(f"blocks.{number}", x, 2 if number % settings.blocks == 0 else 1)
        x = self.norm(f"final_norm.{self.layer}", x).clamp(min=0)
        if settings.classifier == "avgpool":
            squares = [
                x[:, :, i : i + 8, j : j + 8].mean((2, 3))
                for i in range(0, x.shape[2] - 7, 8)
                for j in range(0, x.shape[3] - 7, 8)
            ]
            pooled = torch.cat(squares, 1)
        else:
            name = (
                "attention.core"
                if settings.share_attention or settings.mode != "adapters"
                else f"attention.own.{self.key}"
            )
            W, b, u = (self.values[f"{name}.{part}"] for part in "Wbu")
            positions = x.flatten(2).transpose(1, 2)
            energy = (0.3 * torch.tanh(positions @ W + b) * u).sum(2).exp()
            pooled = ((energy / energy.sum(1, keepdim=True))[:, :, None] * positions).sum(1)
        head = f"heads.{self.key}"
        y = pooled @ self.values[f"{head}.dense.weight"].T + self.values[f"{head}.dense.bias"]
        y = self.norm(f"{head}.norm", y, biased=True).clamp(min=0)
        return y @ self.values[f"{head}.output.weight"].T + self.values[f"{head}.output.bias"]


def made(case: str) -> tuple[EmoNet, Settings]:
    """A network without anything at its initial value, its statistics near those of data; and the case's settings."""
    settings = Settings(**{**COMMON, **CASES[case]})
    network, generator = EmoNet(settings, CORPORA), torch.Generator().manual_seed(1)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    with torch.no_grad():
        for name, value in tensors(network).items():
            if value.ndim == 1 and name.endswith(".weight"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.ndim == 1:
                value.normal_(0, 0.2, generator=generator)
            elif name.endswith(".W"):
                value.mul_(10)
        for norm in norms:
            norm.momentum = 1.0
        network.train().score(*batch())
        for norm in norms:
            norm.momentum = 1 - settings.batch_norm_momentum
            norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.8, 1.6, generator=generator))
    return network, settings


def float64(network: EmoNet) -> dict[str, Tensor]:
    return {name: value.detach().double().clone() for name, value in tensors(network).items()}


def batch(frames: int = 61) -> tuple[Tensor, dict[str, int]]:
    """A mixed batch; its corpora are not in the order of the network."""
    logmel = torch.randn(sum(SIZES.values()), 64, frames, generator=torch.Generator().manual_seed(2)) * 2 - 4
    return logmel, {"keys": 3, "v1.2": 4, "core": 2}


def parts(logmel: Tensor, rows: dict[str, int]) -> dict[str, Tensor]:
    """Each corpus's rows of a batch."""
    return dict(zip(rows, torch.split(logmel, list(rows.values())), strict=True))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("frames", [61, 64])
@torch.no_grad()
def test_scores_in_evaluation(case: str, frames: int) -> None:
    network, settings = made(case)
    logmel, rows = batch(frames)
    mixed = network.eval().score(logmel, rows)
    assert list(mixed) == list(rows)
    for corpus, own in parts(logmel, rows).items():
        expected = Formulas(float64(network), settings, corpus, training=False).scores(own.double())
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(mixed[corpus].double(), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(network.score(own, corpus).double(), expected, rtol=0, atol=1e-5)


def loss_of(scores: Tensor, classes: int) -> Tensor:
    targets = torch.arange(len(scores)) % classes
    if classes == 2:
        return F.binary_cross_entropy_with_logits(scores[:, 0], targets.to(scores.dtype))
    return F.cross_entropy(scores, targets)


@pytest.mark.parametrize("case", CASES)
def test_one_step_of_training(case: str) -> None:
    """Scores, gradients and moved statistics of a mixed batch in float64 agree to 1e-9 with separate passes by formula."""
    network, settings = made(case)
    logmel, rows = (value.double() if isinstance(value, Tensor) else value for value in batch())
    values = float64(network)
    learned = {name for name, _ in network.named_parameters()}
    for name in learned:
        values[name].requires_grad_()
    leaves = {name: values[name] for name in learned}
    losses = []
    for corpus, own in parts(logmel, rows).items():
        losses.append(loss_of(Formulas(values, settings, corpus, training=True).scores(own), CORPORA[corpus]))
    total = torch.stack(losses).sum()
    total.backward()

    network.double().train()
    found = sum(loss_of(scores, CORPORA[corpus]) for corpus, scores in network.score(logmel, rows).items())
    found.backward()
    torch.testing.assert_close(found, total, rtol=0, atol=1e-9)
    gradients = dict(network.named_parameters())
    for name in learned:
        torch.testing.assert_close(gradients[name].grad, leaves[name].grad, rtol=1e-7, atol=1e-9, msg=name)
    for name, value in tensors(network).items():
        if "running" in name:
            torch.testing.assert_close(value, values[name], rtol=0, atol=1e-9, msg=name)
            assert "adapters" not in name


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("training", [False, True])
def test_a_mixed_batch_is_as_separate_passes(case: str, training: bool) -> None:
    """In float32: scores within 1e-5, statistics too, gradients within 1e-4 of the largest."""
    mixed, _ = made(case)
    separate = copy.deepcopy(mixed)
    logmel, rows = batch()
    for network in (mixed, separate):
        network.train(training)
    together = mixed.score(logmel, rows)
    alone = {corpus: separate.score(own, corpus) for corpus, own in parts(logmel, rows).items()}
    for corpus in CORPORA:
        torch.testing.assert_close(together[corpus], alone[corpus], rtol=0, atol=1e-5)
    sum(loss_of(scores, CORPORA[corpus]) for corpus, scores in together.items()).backward()
    sum(loss_of(scores, CORPORA[corpus]) for corpus, scores in alone.items()).backward()
    for one, other in zip(mixed.parameters(), separate.parameters(), strict=True):
        assert (one.grad - other.grad).abs().max() <= 1e-4 * max(other.grad.abs().max(), 1)
    for name, value in tensors(mixed).items():
        torch.testing.assert_close(value, tensors(separate)[name], rtol=0, atol=1e-5, msg=name)


def test_the_shared_convolutions_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = made("avgpool, adapters")
    seen: list[tuple[int, int]] = []
    own = F.conv2d

    def conv2d(x: Tensor, weight: Tensor, *args: Any, **options: Any) -> Tensor:
        if weight.shape[-1] == 3:
            seen.append((len(x), weight.shape[0]))
        return own(x, weight, *args, **options)

    monkeypatch.setattr(F, "conv2d", conv2d)
    logmel, rows = batch()
    network.score(logmel, rows)
    assert len(seen) == 13
    assert {size for size, _ in seen} == {9}


def test_many_rows_go_through_in_groups_of_whole_corpora(monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = made("avgpool, adapters")
    network.eval()
    logmel, rows = batch()
    whole = network.score(logmel, rows)
    sizes: list[int] = []
    own = network.maps

    def maps(part: Tensor, division: dict[str, int]) -> Tensor:
        sizes.append(len(part))
        return own(part, division)

    monkeypatch.setattr(network, "maps", maps)
    for limit, wanted in ((64, [9]), (7, [7, 2]), (6, [3, 6]), (1, [3, 4, 2])):
        monkeypatch.setattr(emonet_models.network, "AT_ONCE", limit)
        sizes.clear()
        found = network.score(logmel, rows)
        assert (sizes, list(found)) == (wanted, list(rows))
        for corpus, scores in whole.items():
            torch.testing.assert_close(found[corpus], scores, rtol=0, atol=1e-5)
