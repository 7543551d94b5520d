from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from emonet_models import EmoNet, Settings
from emonet_models.counting import count
from emonet_models.frontend import LogMel, mel_matrix
from emonet_models.layers import Attention, Block, ConvTask, Head, HeadNorm, same_padding
from emonet_models.network import probabilities
from emoset.errors import ModelError, UnknownNameError

ONE = {"emodb": 1}


def test_two_classes_share_one_unit() -> None:
    four, two = (count(Settings(filters=2, input_bn=False), {"a": n}).total() for n in (4, 2))
    assert four - two == 3 * (2 * 8 // 2 + 1)
    scores = EmoNet(Settings(filters=2), {"a": 2}).eval()(torch.zeros(3, 32_000))
    assert scores.shape == (3, 1)
    torch.testing.assert_close(probabilities(scores)[:, 1], scores.sigmoid()[:, 0])


def naive_conv(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """TensorFlow's "same" convolution of one map, cell by cell, in float64; kernel (out, in, 3, 3)."""
    (height, width), (rows, columns) = x.shape[1:], (-(-x.shape[1] // stride), -(-x.shape[2] // stride))
    top = max((rows - 1) * stride + 3 - height, 0) // 2
    left = max((columns - 1) * stride + 3 - width, 0) // 2
    padded = np.zeros((x.shape[0], height + 6, width + 6))
    padded[:, top : top + height, left : left + width] = x
    out = np.zeros((kernel.shape[0], rows, columns))
    for i in range(rows):
        for j in range(columns):
            patch = padded[:, i * stride : i * stride + 3, j * stride : j * stride + 3]
            out[:, i, j] = np.einsum("oikl,ikl->o", kernel, patch)
    return out


@pytest.mark.parametrize("size", [(6, 7), (7, 6), (6, 8), (5, 7), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_same_padding_on_even_and_odd_axes(size: tuple[int, int], stride: int) -> None:
    unit = ConvTask(2, 3, Settings(), stride=stride).eval()
    x = torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(0))
    expected = naive_conv(x[0].double().numpy(), unit.conv.weight.double().numpy(), stride) / np.sqrt(1 + 1e-3)
    np.testing.assert_allclose(unit(x, ONE)[0].numpy(), expected, atol=1e-5)


def test_windows_of_stride_two() -> None:
    """Read off the original: 1..6 is seen as (1,2,3), (3,4,5), (5,6,pad); 1..7 as (pad,1,2), (2,3,4), ..."""
    assert same_padding(6, stride=2) == (0, 1)
    assert same_padding(7, stride=2) == (1, 1)
    with torch.no_grad():
        unit = ConvTask(1, 1, Settings(), stride=2).eval()
        unit.conv.weight.zero_()
        unit.conv.weight[0, 0, 1] = torch.tensor([100.0, 10.0, 1.0])
        unit.norm.core.eps = 0.0
        for size, expected in ((6, [123, 345, 560]), (7, [12, 234, 456, 670])):
            row = torch.arange(1.0, size + 1).view(1, 1, 1, size)
            assert unit(row, ONE).flatten().tolist() == expected


@torch.no_grad()
def test_pooled_shortcut_counts_no_padding_and_adds_zero_channels() -> None:
    block = Block(1, Settings(), stride=2).eval()
    nn.init.zeros_(block.second.conv.weight)
    x = torch.tensor([[1.0, 2.0, 3.0], [5.0, 6.0, 7.0], [9.0, 10.0, 12.0]]).view(1, 1, 3, 3)
    assert block(x, ONE)[0, 0].tolist() == [[3.5, 5.0], [9.5, 12.0]]
    assert torch.all(block(x, ONE)[0, 1] == 0)


@torch.no_grad()
def test_attention_in_float64() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 5, 3, 4, generator=generator) * 3
    attention = Attention(5)
    attention.W.mul_(20), attention.u.mul_(20)
    W, b, u = (p.double().numpy() for p in (attention.W, attention.b, attention.u))
    for row, found in zip(x.double().numpy(), attention(x).numpy(), strict=True):
        positions = [row[:, i, j] for i in range(3) for j in range(4)]
        energies = np.array([0.3 * u @ np.tanh(W.T @ p + b) for p in positions])
        shares = np.exp(energies) / np.exp(energies).sum()
        assert shares.max() > 0.15  # not the plain mean
        np.testing.assert_allclose(found, sum(a * p for a, p in zip(shares, positions, strict=True)), atol=1e-5)


def test_mel_filters() -> None:
    weights = mel_matrix(64)
    mel = 1127 * np.log(1 + np.linspace(0, 8000, 513) / 700)
    edges = np.linspace(1127 * np.log(1 + 20 / 700), 1127 * np.log(1 + 8000 / 700), 66)
    for band in (0, 20, 63):
        triangle = np.interp(mel, edges[band : band + 3], [0, 1, 0], left=0, right=0)
        np.testing.assert_allclose(weights[1:, band], triangle[1:], atol=1e-12)
    assert not weights[0].any()


def test_logmel_of_a_tone_in_float64() -> None:
    tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(4000) / 16_000)).astype(np.float32)
    found = LogMel(64)(torch.from_numpy(tone)[None])[0]
    assert found.shape == (64, 6)  # 1 + floor((4000 - 1024) / 512), the tail dropped
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    power = np.abs(np.fft.rfft(tone[512:1536].astype(np.float64) * hann)) ** 2
    np.testing.assert_allclose(found[:, 1].numpy(), np.log(power @ mel_matrix(64) + 1e-6), atol=1e-3)


def test_a_waveform_shorter_than_a_frame_is_padded() -> None:
    assert LogMel(64)(torch.ones(2, 10)).shape == (2, 64, 1)
    network = EmoNet(Settings(filters=1, classifier="FCNAttention", window=None), {"a": 3}).eval()
    assert network(torch.ones(2, 10)).shape == (2, 3)


@pytest.mark.parametrize(
    ("samples", "squares"), [(28_000, "8 x 7 positions, that is 1 x 0"), (80_000, "8 x 20 .* 1 x 2")]
)
def test_avgpool_takes_its_window_only(samples: int, squares: str) -> None:
    network = EmoNet(Settings(filters=1), {"a": 3}).eval()
    message = rf"network: maps of {squares} squares; expected 1, those of 64 mel bands and 2\.0 s\. To do: cut or pad"
    with pytest.raises(ModelError, match=message):
        network(torch.zeros(1, samples))


def test_momentum_is_keras_and_the_head_takes_the_biased_variance() -> None:
    """Maps (4-D) move their variance by the unbiased one of the batch, the head (2-D) by the biased one."""
    network = EmoNet(Settings(filters=2, batch_norm_momentum=0.99, input_bn=False), {"a": 3})
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]
    assert len(norms) == 13 + 1 + 1
    assert all(m.eps == 1e-3 and m.momentum == pytest.approx(0.01) for m in norms)

    unit = ConvTask(1, 1, network.settings).train()
    x = torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    convolved = F.conv2d(x, unit.conv.weight, padding=1).detach()
    unit(x, ONE)
    assert unit.norm.core.running_mean.item() == pytest.approx(0.01 * convolved.mean().item(), rel=1e-4)
    assert unit.norm.core.running_var.item() == pytest.approx(
        0.99 + 0.01 * convolved.var(correction=1).item(), rel=1e-5
    )

    norm = HeadNorm(1, eps=1e-3, momentum=0.01).train()
    values = torch.tensor([[0.0], [4.0]], requires_grad=True)
    out = norm(values)
    assert norm.running_mean.item() == pytest.approx(0.01 * 2)
    assert norm.running_var.item() == pytest.approx(0.99 + 0.01 * 4)  # biased 4, unbiased 8
    torch.testing.assert_close(out, F.batch_norm(values, None, None, norm.weight, norm.bias, True, eps=1e-3))
    torch.testing.assert_close(norm.eval()(values), F.batch_norm(
        values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-3))  # fmt: skip


def test_dropout_sits_before_the_convolutions_of_blocks_only() -> None:
    network = EmoNet(Settings(filters=1, dropout=(0.1, 0.5), head_dropout=0.2), {"a": 3})
    assert network.pre_conv.dropout.p == 0
    assert {(block.first.dropout.p, block.second.dropout.p) for block in network.blocks} == {(0.1, 0.5)}
    assert network.heads["a"].dropout.p == 0.2


def test_initial_kernels_are_he_normal_cut_at_two_deviations() -> None:
    torch.manual_seed(0)
    weight = ConvTask(32, 64, Settings()).conv.weight
    nominal = (2 / (9 * 32)) ** 0.5
    assert weight.std().item() == pytest.approx(nominal, rel=0.02)
    assert weight.abs().max().item() <= 2.28 * nominal


def test_head_takes_a_batch_of_one_while_training() -> None:
    assert Head(4, 3, Settings()).train()(torch.ones(1, 4)).shape == (1, 3)


@pytest.mark.parametrize(
    ("choices", "error", "message"),
    [
        ({"filter": 8}, UnknownNameError, "unknown setting 'filter'; expected one of .*nearest: filters"),
        ({"filters": 0}, ModelError, "setting filters is 0: Input should be greater than or equal to 1"),
        ({"window": None}, ModelError, "classifier avgpool needs a fixed window"),
        ({"mels": 40}, ModelError, "needs at least 57 mels and 57 frames.*got 40 mels and 61 frames"),
        ({"window": 1.0}, ModelError, "got 64 mels and 30 frames"),
        ({"dropout": (0.0, 1.5)}, ModelError, "expected two rates from 0 to below 1"),
        (
            {"classifier": "rnn"},
            ModelError,
            "setting classifier is 'rnn': Input should be 'avgpool' or 'FCNAttention'",
        ),
    ],
)
def test_settings_refuse(choices: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Settings.preset("baseline", **{"classifier": "avgpool", **choices})


def test_unknown_preset() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown preset 'published'; .* \(nearest: as-published\)"):
        Settings.preset("published")


def test_as_published_is_the_original() -> None:
    published = Settings.preset("as-published")
    assert (published.mels, published.batch, published.dropout, published.patience) == (128, 64, (0.0, 0.5), 20)
    assert (published.optimizer, published.schedule, published.learning_rate) == ("sgd", "three-stages", 0.1)
    assert (published.batch_norm_momentum, published.min_delta, published.evaluation) == (0.99, 0.005, "second-half")
    assert not (published.input_bn)
    assert not (published.masks)
    assert not (published.mixup)
    assert not (published.speed)
    assert not (published.average)
    assert published.classifier == "avgpool"
    assert published.label_smoothing == 0
