from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import emonet_models.loop
from emonet_models import Settings, load, predict_probabilities, train
from emonet_models.batches import augment, batches, random_crop, windows
from emonet_models.loop import Objective
from emonet_models.network import ResNet
from emonet_models.schedules import Clock, decay_of_keras, one_cycle
from emonet_models.weights import tensors
from emoset.errors import ModelError

CLASSES = ("high", "low", "noise")
TINY = Settings(filters=4, blocks=1, epochs=3, batch=4, learning_rate=3e-3, masks=1, mixup=0.2, speed=0.1, average=0.5)


def tones(count: int, seed: int) -> list[tuple[np.ndarray, int]]:
    """Utterances of three classes that a spectrogram tells apart; lengths from 0.5 s to 3 s."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        samples = int(rng.integers(8_000, 48_000))
        hertz = (2_000, 300, 0)[number % 3] * rng.uniform(0.9, 1.1)
        tone = np.sin(2 * np.pi * hertz * np.arange(samples) / 16_000) + 0.05 * rng.standard_normal(samples)
        wave = tone if number % 3 < 2 else rng.standard_normal(samples)
        made.append(((0.1 * wave).astype(np.float32), number % 3))
    return made


@pytest.fixture(scope="module")
def data() -> tuple[list[tuple[np.ndarray, int]], list[tuple[np.ndarray, int]]]:
    return tones(24, 0), tones(9, 1)


def test_learns_and_leaves_a_folder(data, tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"epochs": 12, "mixup": 0.0})
    seen = []
    result = train(settings, *data, CLASSES, tmp_path / "run", corpus="tones", report=seen.append)
    assert result.best.validation_uar >= 0.9
    assert seen == list(result.epochs)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 13))
    assert lines[-1]["learning_rate"] < lines[3]["learning_rate"]
    assert lines[-1]["loss"] < lines[0]["loss"] / 2
    assert result.best.validation_uar == max(line["validation_uar"] for line in lines)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["classes"] == list(CLASSES)
    assert config["corpus"] == "tones"
    assert config["result"]["epoch"] == result.best.epoch
    assert set(config["versions"]) == {"python", "emoset-speech", "torch", "numpy"}
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["config.json", "metrics.jsonl", "model.safetensors"]

    network, loaded = load(tmp_path / "run")
    assert loaded.settings == settings
    waves = [wave for wave, _ in data[1]]
    expected = predict_probabilities(result.network, settings, waves)
    np.testing.assert_array_equal(predict_probabilities(network, loaded.settings, waves), expected)
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-6)


def test_same_seed_same_numbers(data) -> None:
    results = [train(TINY.model_copy(update={"seed": seed}), *data, CLASSES) for seed in (0, 0, 1)]
    first, again, other = ([(e.loss, e.validation_loss, e.validation_uar) for e in r.epochs] for r in results)
    assert first == again
    assert first != other
    for name, value in tensors(results[0].network).items():
        assert torch.equal(value, tensors(results[1].network)[name]), name


def test_the_callers_random_state_is_left_alone(data) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(TINY.model_copy(update={"epochs": 1}), *data, CLASSES)
    assert torch.rand(1) == expected


def test_two_classes_and_whole_utterances() -> None:
    pairs = [(wave, label) for wave, label in tones(12, 2) if label < 2]
    settings = TINY.model_copy(update={"classifier": "FCNAttention", "window": None, "epochs": 4, "mixup": 0.0})
    result = train(settings, pairs, pairs, ["high", "low"])
    assert result.network.head.output.out_features == 1
    found = predict_probabilities(result.network, settings, [wave for wave, _ in pairs])
    assert found.shape == (len(pairs), 2)
    # A whole utterance is judged by itself: the company it is in changes nothing.
    alone = predict_probabilities(result.network, settings, [pairs[3][0]])
    np.testing.assert_allclose(alone[0], found[3], atol=1e-6)


def test_as_published_runs_three_stages_with_early_stopping(data) -> None:
    settings = Settings.preset(
        "as-published", mels=64, filters=2, blocks=1, epochs=4, batch=12, patience=2, learning_rate=0.01
    )
    result = train(settings, *data, CLASSES)
    rates = [epoch.learning_rate for epoch in result.epochs]
    stages = [[r for r in rates if low < r <= high] for low, high in ((1e-3, 1e-2), (1e-4, 1e-3), (1e-5, 1e-4))]
    assert sum(map(len, stages)) == len(rates)
    assert all(2 <= len(stage) <= 4 for stage in stages)
    # Two steps an epoch; at its second the stage has t = 1: lr / (1 + decay t).
    assert stages[0][0] == pytest.approx(0.01 / 1.005)
    assert stages[2][1] == pytest.approx(0.0001 / (1 + 3 * 0.005))


def test_a_stage_starts_from_the_best_weights(data, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.preset("as-published", mels=64, filters=2, blocks=1, epochs=1, batch=12, learning_rate=0.01)
    judged = []
    own_stage = emonet_models.loop.Run._stage

    def stage(run, number):
        if number:
            run.best_weights = {k: torch.full_like(v, 0.5) for k, v in run.best_weights.items()}
            run._epoch = lambda *_: judged.append(tensors(run.network)["head.output.bias"].clone()) or result(run)
        own_stage(run, number)

    def result(run):
        return run.best

    monkeypatch.setattr(emonet_models.loop.Run, "_stage", stage)
    train(settings, *data, CLASSES)
    assert [bias.tolist() for bias in judged] == [[0.5] * 3] * 2


def test_weight_decay_touches_the_kernels_only(data) -> None:
    from emonet_models.weights import Config

    for optimizer, kernels in (("sgd", 7), ("adamw", 9)):
        settings = TINY.model_copy(update={"optimizer": optimizer, "weight_decay": 0.1})
        labels = np.array([label for _, label in data[0]])
        run = emonet_models.loop.Run(Config(settings, CLASSES), data[0], labels, data[1], labels, None, None)
        decayed, free = run._optimizer().param_groups
        assert (len(decayed["params"]), decayed["weight_decay"], free["weight_decay"]) == (kernels, 0.1, 0.0)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_weights(data, tmp_path: Path, monkeypatch) -> None:
    own = Objective.forward
    calls = []

    def forward(self, logmel, targets):
        calls.append(1)
        return own(self, logmel, targets) * (math.nan if len(calls) == 8 else 1.0)

    monkeypatch.setattr(Objective, "forward", forward)
    message = r"the loss became nan in step 2 of epoch 2; .*lower learning_rate \(now 0\.003\); the weights of epoch 1 are kept"
    with pytest.raises(ModelError, match=message) as caught:
        train(TINY, *data, CLASSES, tmp_path)
    assert str(tmp_path) in str(caught.value)
    network, config = load(tmp_path)
    assert config.result["epoch"] == 1
    assert all(torch.isfinite(value).all() for value in tensors(network).values())


def test_time_limit_squeezes_the_schedule(data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Clock, "seconds", property(lambda clock: clock.__dict__.setdefault("ticks", []).append(1) or len(clock.ticks))
    )
    result = train(TINY.model_copy(update={"epochs": 500, "minutes": 0.5}), *data, CLASSES)
    assert len(result.epochs) < 20
    assert result.epochs[-1].learning_rate < 1e-4 < max(epoch.learning_rate for epoch in result.epochs)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "training set: no utterances; expected at least one"),
        ([(np.zeros(9, np.float32), 0), (np.zeros(9, np.float32), 2)], "training set: no example of low"),
        ([(np.zeros(9, np.float32), 3)], "training set, item 0: label 3; expected 0 to 2 for 3 classes"),
        ([(np.zeros(9), 0)], r"item 0: a waveform of float64, shape \(9,\); expected finite float32"),
        ([(np.zeros((2, 9), np.float32), 0)], r"item 0: a waveform of float32, shape \(2, 9\)"),
        ([(np.full(9, np.nan, np.float32), 0)], "with values that are no numbers"),
    ],
)
def test_bad_training_sets(data, bad: list[tuple[np.ndarray, int]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        train(TINY, bad, data[1], CLASSES)


def test_an_empty_validation_set(data) -> None:
    with pytest.raises(ModelError, match="validation set: no utterances"):
        train(TINY, data[0], [], CLASSES)


def test_loss_is_weighted_cross_entropy() -> None:
    network = ResNet(Settings(filters=1), 3).eval()
    logmel, targets = torch.randn(4, 64, 61), torch.eye(3)[[0, 1, 2, 2]]
    weights = torch.tensor([2.0, 1.0, 0.5])
    logs = network.score(logmel).log_softmax(1)
    expected = -(2 * logs[0, 0] + logs[1, 1] + 0.5 * logs[2, 2] + 0.5 * logs[3, 2]) / 4
    torch.testing.assert_close(Objective(network, weights)(logmel, targets), expected)

    binary = ResNet(Settings(filters=1), 2).eval()
    scores = binary.score(logmel).squeeze(1)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores, torch.tensor([0.0, 1.0, 1.0, 0.0]))
    found = Objective(binary, torch.ones(2))(logmel, torch.eye(2)[[0, 1, 1, 0]])
    torch.testing.assert_close(found, expected)


def test_crops() -> None:
    settings, wave = Settings(speed=0.0), np.arange(50_000, dtype=np.float32)
    rng = np.random.default_rng(0)
    starts = {int(random_crop(wave, settings, rng)[0]) for _ in range(200)}
    assert min(starts) < 1_000
    assert max(starts) > 17_000
    assert max(starts) <= 18_000
    for length in (1, 500, 31_999, 40_000):
        crop = random_crop(wave[:length], settings.model_copy(update={"speed": 0.2}), rng)
        assert crop.dtype == np.float32
        assert 0 < len(crop) <= 32_000


def test_windows_of_evaluation() -> None:
    wave = np.arange(70_000, dtype=np.float32)
    published = Settings.preset("as-published")
    assert [int(part[0]) for part in windows(wave, Settings())] == [0, 16_000, 32_000, 38_000]
    assert [int(part[0]) for part in windows(wave, published)] == [35_000]  # the second half, not the centre
    assert [int(part[0]) for part in windows(wave[:64_000], published)] == [0]  # 32,000 is not more than the window
    assert [len(part) for part in windows(wave[:100], published)] == [100]
    assert all(len(part) == 32_000 for part in windows(wave, Settings()) + windows(wave, published))


def test_masks_and_mixing() -> None:
    settings = Settings(masks=2, mask_mels=5, mask_frames=3, mixup=0.0)
    maps = torch.randn(3, 64, 61)
    masked, targets = augment(maps.clone(), torch.eye(3), settings, np.random.default_rng(0))
    assert torch.equal(targets, torch.eye(3))
    changed = (masked != maps).float().mean().item()
    assert 0 < changed < 2 * (5 / 64 + 3 / 61)
    mixed, targets = augment(maps.clone(), torch.eye(3), Settings(masks=0, mixup=0.4), np.random.default_rng(0))
    torch.testing.assert_close(targets.sum(1), torch.ones(3))
    torch.testing.assert_close(mixed, torch.einsum("ij,jkl->ikl", targets, maps))


def test_batches_are_full_or_one() -> None:
    rng = np.random.default_rng(0)
    seen = np.concatenate(list(batches(11, 4, rng)))
    assert len(seen) == 8
    assert len(set(seen.tolist())) == 8
    assert [len(chosen) for chosen in batches(3, 4, rng)] == [3]


def test_schedules() -> None:
    assert one_cycle(1.0, 0.25) == pytest.approx(1.0)
    assert one_cycle(1.0, 1.0) == pytest.approx(1e-5)
    assert [decay_of_keras(n, 64) for n in (1, 448, 449, 960, 961, 9_984, 9_985)] == [
        0.005, 0.005, 0.002, 0.002, 0.0005, 0.0005, 1e-6,
    ]  # fmt: skip
