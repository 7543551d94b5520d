"""Speed of training against a minimal plain PyTorch loop of the same network, in one run.

    python benchmarks/training.py                        # ratios on this machine's CPU (or GPU, where there is one)
    python benchmarks/training.py --corpora 26           # the mixed batch of many corpora against separate passes

Each pair is measured in turn, several rounds; ratios are medians. The plain loop has no settings, no adapters, no
checks, no checkpoints: log-mel, ResNet (N = 2, 32 filters), cross-entropy, AdamW, crops that are cut beforehand. It
trains the same network: given our weights it gives our scores, which is checked before anything is measured.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emonet_models import CorpusData, EmoNet, Settings, predict_probabilities, train
from emonet_models.weights import tensors

SECONDS, RATE, CLASSES = 2.0, 16_000, 4


class Convolution(nn.Conv2d):
    """3x3, padded as the original pads: where a stride of 2 meets an even size, after the map only."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, bias=False, padding=1 if stride == 1 else 0)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution."""
        if self.padding == (0, 0):
            x = F.pad(x, (x.shape[3] % 2, 1, x.shape[2] % 2, 1))
        return super().forward(x)


class Plain(nn.Module):
    """The network as one would write it down once."""

    def __init__(self, mels: int = 64, width: int = 32) -> None:
        super().__init__()
        edges = torch.linspace(1127 * math.log1p(20 / 700), 1127 * math.log1p(8000 / 700), mels + 2)
        bins = 1127 * torch.log1p(torch.linspace(0, 8000, 513) / 700)[:, None]
        low, centre, high = edges[:-2], edges[1:-1], edges[2:]
        bank = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clamp(min=0)
        self.register_buffer("bank", bank)
        self.register_buffer("window", torch.hann_window(1024))
        norm = lambda n: nn.BatchNorm2d(n, eps=1e-3, momentum=0.1)  # noqa: E731
        self.first = nn.Sequential(norm(1), Convolution(1, width), norm(width))
        self.blocks = nn.ModuleList()
        for stage in range(3):
            for number in range(2):
                c = width * 2 ** (stage + 1)
                i, s = (c // 2, 2) if number == 0 else (c, 1)
                self.blocks.append(
                    nn.Sequential(
                        Convolution(i, c, s), norm(c), nn.ReLU(),
                        Convolution(c, c), norm(c),
                    )
                )  # fmt: skip
        c = width * 8
        self.last = nn.Sequential(norm(c), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten())
        self.head = nn.Sequential(
            nn.Linear(c, c // 2),
            nn.BatchNorm1d(c // 2, eps=1e-3),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(c // 2, CLASSES),
        )

    def forward(self, audio: Tensor) -> Tensor:
        """Scores of waveforms."""
        with torch.no_grad():
            power = torch.stft(audio, 1024, 512, window=self.window, center=False, return_complex=True).abs().square()
            x = torch.log(power.transpose(1, 2) @ self.bank + 1e-6).transpose(1, 2)[:, None]
        x = self.first(x.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            y = block(x)
            if y.shape[1] > x.shape[1]:
                x = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
                x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
            x = F.relu(x + y)
        scores: Tensor = self.head(self.last(x))
        return scores


def check_is_the_same(ours: EmoNet, audio: Tensor) -> None:
    """Refuse to measure if the plain network is another one."""
    plain = Plain()
    found = plain.state_dict()
    names = [name for name in found if name not in ("bank", "window") and not name.endswith("num_batches_tracked")]
    plain.load_state_dict({**found, **dict(zip(names, tensors(ours).values(), strict=True))})
    with torch.inference_mode():
        worst = float((plain.eval()(audio) - ours.eval()(audio)).abs().max())
    if worst > 1e-4:
        raise SystemExit(f"the plain network is another one: scores differ by {worst}")


def plain_loop(audio: Tensor, labels: Tensor, batch: int, device: torch.device) -> None:
    """Train for one epoch."""
    network = Plain().to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for order in torch.randperm(len(audio)).split(batch):
        loss = F.cross_entropy(network(audio[order].to(device)), labels[order].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()


def seconds(work: Callable[[], object]) -> float:
    """How long something takes, what a GPU still has to do included."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def flops_of(network: nn.Module, audio: Tensor) -> int:
    """Floating-point operations of a forward and a backward pass, as PyTorch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        network(audio).sum().backward()
    return counter.get_total_flops()


def matrix_speed(device: torch.device, size: int = 2048) -> float:
    """Floating-point operations a second of a large matrix product: what the machine can do."""
    a, b = torch.rand(size, size, device=device), torch.rand(size, size, device=device)
    times = [seconds(lambda: a @ b) for _ in range(8)]
    return 2 * size**3 / statistics.median(times[2:])


def ratios(steps: int, batch: int, rounds: int) -> list[str]:
    """Training by emonet_models, in modes scratch and adapters, against the plain loop."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rng = np.random.default_rng(0)
    waves = rng.normal(0, 0.1, (steps * batch, round(SECONDS * RATE))).astype(np.float32)
    utterances = [(wave, row % CLASSES) for row, wave in enumerate(waves)]
    corpora = {"made-up": CorpusData(utterances, utterances[:CLASSES], [str(number) for number in range(CLASSES)])}
    audio, labels = torch.from_numpy(waves), torch.arange(len(waves)) % CLASSES
    check_is_the_same(EmoNet(Settings(), {"x": CLASSES}), audio[:4])
    plainly = {"masks": 0, "speed": 0.0, "mixup": 0.0, "average": 0.0, "epochs": 1, "batch": batch, "window": SECONDS}

    def ours(mode: str) -> None:
        with tempfile.TemporaryDirectory() as out:
            train(Settings(mode=mode, **plainly), corpora, out=out)

    times: dict[str, list[float]] = {"plain loop": [], "scratch": [], "adapters": []}
    for number in range(rounds + 1):
        found = {
            "plain loop": seconds(lambda: plain_loop(audio, labels, batch, device)),
            "scratch": seconds(lambda: ours("scratch")),
            "adapters": seconds(lambda: ours("adapters")),
        }
        for name, value in found.items():
            if number:  # the first round warms up
                times[name].append(value)
    floor = matrix_speed(device)
    lines = [
        f"On {device}, {torch.get_num_threads()} threads; a matrix product makes {floor / 1e9:.0f} GFLOP/s.", "",
        "| loop | steps/s | windows/s | of the plain loop | GFLOP/s | of the matrix product |", "| --- " * 6 + "|",
    ]  # fmt: skip
    for name, values in times.items():
        mode = "scratch" if name == "plain loop" else name
        flops = flops_of(EmoNet(Settings(mode=mode, **plainly), {"x": CLASSES}), audio[:batch])
        speed = steps / statistics.median(values)
        ratio = statistics.median(p / v for p, v in zip(times["plain loop"], values, strict=True))
        lines.append(
            f"| {name} | {speed:.2f} | {speed * batch:.0f} | {ratio:.2f} | {speed * flops / 1e9:.0f}"
            f" | {speed * flops / floor:.2f} |"
        )
    lines += ["", "Inference, windows/s: " + ", ".join(inference(device, audio[: 4 * batch], batch, rounds)) + "."]
    return lines


def inference(device: torch.device, audio: Tensor, batch: int, rounds: int) -> list[str]:
    """Windows a second of whole predictions, by mode, and of the plain network."""
    waves = [wave.numpy() for wave in audio]
    plain = Plain().to(device, memory_format=torch.channels_last).eval()

    def plainly() -> None:
        with torch.inference_mode():
            for part in audio.split(batch):
                plain(part.to(device)).softmax(-1).cpu()

    works: dict[str, Callable[[], object]] = {"plain": plainly}
    for mode in ("scratch", "adapters"):
        network = EmoNet(Settings(mode=mode), {"x": CLASSES}).to(device)
        works[mode] = partial(predict_probabilities, network, network.settings, waves)
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            took = seconds(work)
            if number:
                times[name].append(took)
    return [f"{name} {len(waves) / statistics.median(values):.0f}" for name, values in times.items()]


def mixed(corpora: int, batch: int, rounds: int) -> list[str]:
    """One mixed batch of many corpora against a pass for each, forward and backward, with adapters."""
    torch.manual_seed(0)
    names = [f"corpus{number}" for number in range(corpora)]
    network = EmoNet(Settings(mode="adapters", dropout=(0.0, 0.0), head_dropout=0.0), dict.fromkeys(names, CLASSES))
    audio = torch.randn(corpora * batch, round(SECONDS * RATE)) * 0.1
    rows, parts = dict.fromkeys(names, batch), dict(zip(names, torch.split(audio, batch), strict=True))

    def backward(losses: list[Tensor]) -> None:
        torch.stack(losses).mean().backward()
        network.zero_grad()

    def together() -> None:
        backward([s.square().mean() for s in network.score(network.logmel(audio), rows).values()])

    def apart() -> None:
        for name, own in parts.items():
            (network(own, name).square().mean() / corpora).backward()
        network.zero_grad()

    together(), apart()
    pairs = [(seconds(together), seconds(apart)) for _ in range(rounds)]
    network.eval()
    with torch.inference_mode():
        found = network.score(network.logmel(audio), rows)
        worst = max(float((found[name] - network(own, name)).abs().max()) for name, own in parts.items())
    one, many = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratio = statistics.median(a / t for t, a in pairs)
    return [
        f"{corpora} corpora, {batch} windows of each: a mixed pass takes {one:.2f} s, a pass for each {many:.2f} s;"
        f" mixed is {ratio:.2f} times as fast; scores differ by {worst:.1e} at most."
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30, help="of an epoch")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--corpora", type=int, help="measure mixed batches of so many instead, with 1 to 16 windows of each"
    )
    given = parser.parse_args()
    lines = (
        [line for windows in (1, 2, 4, 8, 16) for line in mixed(given.corpora, windows, given.rounds)]
        if given.corpora
        else ratios(given.steps, given.batch, given.rounds)
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
