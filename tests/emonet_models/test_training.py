from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from emonet_models import CorpusData, Settings, TrainingResult, load, predict_probabilities, train
from emonet_models.batches import FromDataset, Order, augment, random_crop, stack, windows
from emonet_models.loop import Run
from emonet_models.losses import Objective, balance, losses
from emonet_models.network import EmoNet
from emonet_models.processes import accelerator_for
from emonet_models.schedules import decay_of_keras, one_cycle
from emonet_models.weights import Config, tensors
from emoset.errors import EmosetError, ModelError

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


def train_one(
    settings: Settings, training: Sequence, validation: Sequence, classes: Sequence[str] = CLASSES, **options: Any
) -> TrainingResult:
    """Train on one corpus."""
    return train(settings, {"corpus": CorpusData(training, validation, classes)}, **options)


@pytest.fixture(scope="module")
def data() -> tuple[list[tuple[np.ndarray, int]], list[tuple[np.ndarray, int]]]:
    return tones(24, 0), tones(9, 1)


def test_learns_and_leaves_a_folder(data, tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"epochs": 12, "mixup": 0.0})
    seen = []
    result = train(settings, {"tones": CorpusData(*data, CLASSES)}, out=tmp_path / "run", report=seen.append)
    assert result.best.validation_uar >= 0.9
    assert seen == list(result.epochs)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 13))
    assert lines[-1]["learning_rate"] < lines[3]["learning_rate"]
    assert lines[-1]["loss"] < lines[0]["loss"] / 2
    assert result.best.validation_uar == max(line["validation_uar"] for line in lines)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["corpora"] == {"tones": list(CLASSES)}
    assert config["result"]["epoch"] == result.best.epoch
    assert set(config["versions"]) == {"python", "emoset-speech", "torch", "numpy"}
    files = [p.name for p in (tmp_path / "run").iterdir() if not p.name.startswith("events.out.tfevents.")]
    assert sorted(files) == [
        "config.json", "curves.png", "last.safetensors", "metrics.jsonl", "state.safetensors",
        "weights.safetensors",
    ]  # fmt: skip
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")

    network, loaded = load(tmp_path / "run")
    assert loaded.settings == settings
    waves = [wave for wave, _ in data[1]]
    expected = predict_probabilities(result.network, settings, waves)
    np.testing.assert_array_equal(predict_probabilities(network, loaded.settings, waves), expected)
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-6)


def test_same_seed_same_numbers(data) -> None:
    results = [train_one(TINY.model_copy(update={"seed": seed}), *data) for seed in (0, 0, 1)]
    first, again, other = ([(e.loss, e.validation_loss, e.validation_uar) for e in r.epochs] for r in results)
    assert first == again
    assert first != other
    for name, value in tensors(results[0].network).items():
        assert torch.equal(value, tensors(results[1].network)[name]), name


def test_the_callers_random_state_is_left_alone(data) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train_one(TINY.model_copy(update={"epochs": 1}), *data)
    assert torch.rand(1) == expected


def test_two_classes_and_whole_utterances() -> None:
    pairs = [(wave, label) for wave, label in tones(12, 2) if label < 2]
    settings = TINY.model_copy(update={"classifier": "FCNAttention", "window": None, "epochs": 4, "mixup": 0.0})
    result = train_one(settings, pairs, pairs, ["high", "low"])
    assert result.network.heads["corpus"].output.out_features == 1
    found = predict_probabilities(result.network, settings, [wave for wave, _ in pairs])
    assert found.shape == (len(pairs), 2)
    # A whole utterance is judged by itself: the company it is in changes nothing.
    alone = predict_probabilities(result.network, settings, [pairs[3][0]])
    np.testing.assert_allclose(alone[0], found[3], atol=1e-6)


def test_as_published_runs_three_stages_with_early_stopping(data) -> None:
    settings = Settings.preset(
        "as-published", mels=64, filters=2, blocks=1, epochs=4, batch=12, patience=2, learning_rate=0.01
    )
    result = train_one(settings, *data)
    rates = [epoch.learning_rate for epoch in result.epochs]
    stages = [[r for r in rates if low < r <= high] for low, high in ((1e-3, 1e-2), (1e-4, 1e-3), (1e-5, 1e-4))]
    assert sum(map(len, stages)) == len(rates)
    assert all(2 <= len(stage) <= 4 for stage in stages)
    # Two steps an epoch; at its second the stage has t = 1: lr / (1 + decay t).
    assert stages[0][0] == pytest.approx(0.01 / 1.005)
    assert stages[2][1] == pytest.approx(0.0001 / (1 + 3 * 0.005))


def test_a_stage_starts_from_the_best_weights(data, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.preset("as-published", mels=64, filters=2, blocks=1, epochs=1, batch=12, learning_rate=0.01)
    begun = []
    own = Run._begin_stage

    def begin(run: Run) -> None:
        run.best_weights = {k: torch.full_like(v, 0.5) for k, v in run.best_weights.items()}
        own(run)
        begun.append((tensors(run.network)["heads.corpus.output.bias"].clone(), len(run.optimizer.state)))

    monkeypatch.setattr(Run, "_begin_stage", begin)
    train_one(settings, *data)
    assert [moments for _, moments in begun] == [0, 0, 0]
    assert [bias.tolist() for bias, _ in begun[1:]] == [[0.5] * 3] * 2


def test_weight_decay_touches_the_kernels_only(data) -> None:
    corpora = {"tones": CorpusData(*data, CLASSES)}
    for optimizer, kernels in (("sgd", 7), ("adamw", 9)):
        settings = TINY.model_copy(update={"optimizer": optimizer, "weight_decay": 0.1})
        run = Run(Config(settings, {"tones": CLASSES}), corpora, accelerator_for("cpu"))
        decayed, free = run._optimizer().param_groups
        assert (len(decayed["params"]), decayed["weight_decay"], free["weight_decay"]) == (kernels, 0.1, 0.0)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_weights(data, tmp_path: Path, monkeypatch) -> None:
    own = Objective.forward
    calls = []

    def forward(self, logmel, rows, targets):
        calls.append(1)
        return own(self, logmel, rows, targets) * (math.nan if len(calls) == 8 else 1.0)

    monkeypatch.setattr(Objective, "forward", forward)
    message = r"the loss of corpus became nan in step 2 of epoch 2; .*lower learning_rate \(now 0\.003\); the weights of epoch 1 are kept"
    with pytest.raises(ModelError, match=message) as caught:
        train_one(TINY, *data, out=tmp_path)
    assert str(tmp_path) in str(caught.value)
    network, config = load(tmp_path)
    assert config.result["epoch"] == 1
    assert all(torch.isfinite(value).all() for value in tensors(network).values())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "training set: no utterances; expected at least one"),
        ([(np.zeros(9, np.float32), 0), (np.zeros(9, np.float32), 2)], "training set: no example of low"),
        ([(np.zeros(9, np.float32), 3)], "training set, item 0: label 3; expected 0 to 2 for 3 classes"),
        ([(np.zeros(9), 0)], r"item 0: a waveform of float64, shape \(9,\); expected finite float32"),
        ([(np.zeros((2, 9), np.float32), 0)], r"item 0: a waveform of float32, shape \(2, 9\)"),
        ([(np.full(9, np.nan, np.float32), 0)], "with values that are no numbers"),
        ([(np.zeros(0, np.float32), 0)], "item 0: a waveform without samples; expected one or more"),
    ],
)
def test_bad_training_sets(data, bad: list[tuple[np.ndarray, int]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        train_one(TINY, bad, data[1])


def test_an_empty_validation_set(data) -> None:
    with pytest.raises(ModelError, match="validation set: no utterances"):
        train_one(TINY, data[0], [])


def test_loss_is_weighted_cross_entropy() -> None:
    settings = Settings(filters=1)
    network = EmoNet(settings, {"emodb": 3}).eval()
    logmel, targets = torch.randn(4, 64, 61), torch.eye(3)[[0, 1, 2, 2]]
    weights = torch.tensor([2.0, 1.0, 0.5])
    logs = network.score(logmel).log_softmax(1)
    expected = -(2 * logs[0, 0] + logs[1, 1] + 0.5 * logs[2, 2] + 0.5 * logs[3, 2]) / 4
    found = Objective(network, {"emodb": weights}, settings)(logmel, {"emodb": 4}, {"emodb": targets})
    torch.testing.assert_close(found, expected[None])

    scores, labels = torch.randn(4, 1), torch.tensor([0, 1, 1, 0])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores[:, 0], labels.float())
    torch.testing.assert_close(losses(scores, torch.eye(2)[labels], torch.ones(2), settings).mean(), expected)


def test_other_losses_equal_their_formulas() -> None:
    scores, targets = torch.randn(5, 4), torch.rand(5, 4).softmax(1)
    weights, p = torch.tensor([2.0, 1.0, 0.5, 0.25]), scores.double().softmax(1).numpy()
    t, w = targets.double().numpy(), weights.double().numpy()
    focal = -(w * t * (1 - p) ** 1.5 * np.log(p)).sum(1).mean()
    found = losses(scores, targets, weights, Settings(loss="focal", gamma=1.5)).mean()
    assert float(found) == pytest.approx(focal, rel=1e-5)
    plain = losses(scores, targets, weights, Settings()).mean()
    assert losses(scores, targets, weights, Settings(loss="focal", gamma=0)).mean() == plain
    ordinal = np.mean(
        [
            sum((p[row, : c + 1].sum() - t[row, : c + 1].sum()) ** 2 for c in range(4)) * (w * t[row]).sum()
            for row in range(5)
        ]
    )
    found = losses(scores, targets, weights, Settings(loss="ordinal")).mean()
    assert float(found) == pytest.approx(ordinal, rel=1e-5)
    smooth = losses(scores, targets, weights, Settings(label_smoothing=0.4)).mean()
    torch.testing.assert_close(smooth, losses(scores, targets * 0.6 + 0.1, weights, Settings()).mean())


@pytest.mark.parametrize("loss", ["focal", "ordinal"])
def test_gradients_stay_finite_where_the_network_is_certain(loss: str) -> None:
    for columns in (1, 3):
        scores = torch.tensor([[200.0] * columns, [-200.0] * columns, [200.0] + [0.0] * (columns - 1)])
        scores.requires_grad_()
        classes = max(columns, 2)
        settings = Settings(loss=loss, gamma=0.5)
        losses(scores, torch.eye(classes)[[0, 0, 1]], torch.ones(classes), settings).mean().backward()
        assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize(
    "update",
    [
        {"loss": "focal"},
        {"loss": "ordinal"},
        {"precision": "bf16"},
        {"input_noise": 0.1},
        {"augment": "light"},
        {"class_weights": False},
        {"accumulate": 2},
        {"steps": 3},
    ],
    ids=str,
)
def test_every_choice_changes_training(data, update: dict[str, object]) -> None:
    # Labels are not balanced, so that class weights matter.
    settings = TINY.model_copy(update={"epochs": 1})
    plain = train_one(settings, data[0][:8], data[1])
    other = train_one(settings.model_copy(update=update), data[0][:8], data[1])
    assert other.best.loss != plain.best.loss
    assert math.isfinite(other.best.loss)


def test_bf16_is_near_fp32() -> None:
    settings = Settings(filters=8, dropout=(0.0, 0.0), head_dropout=0.0)
    network = EmoNet(settings, {"corpus": 3}).train()
    logmel = network.logmel(stack([wave for wave, _ in tones(12, 0)], 32_000))
    targets = F.one_hot(torch.arange(12) % 3, 3).float()
    found = []
    for precision in ("fp32", "bf16"):
        network.zero_grad()
        objective = Objective(network, {"corpus": torch.ones(3)}, settings.model_copy(update={"precision": precision}))
        loss = objective(logmel, {"corpus": 12}, {"corpus": targets})[0]
        loss.backward()
        assert loss.dtype == torch.float32
        assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in network.parameters())
        found.append((loss.item(), torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])))
    (loss, gradient), (other, rounded) = found
    assert other == pytest.approx(loss, rel=0.01)
    assert not torch.equal(gradient, rounded)
    # bfloat16 keeps 8 bits: single products are wrong by 0.4 %, and this network has 13 layers of them.
    assert float(F.cosine_similarity(gradient, rounded, 0)) > 0.97


def test_balanced_weights() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    weights = balance(labels, 3)
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 2.0, 1.0]))
    assert float(weights[labels].mean()) == pytest.approx(1)


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


def test_noise_on_the_map() -> None:
    settings = Settings(masks=0, mixup=0.0, input_noise=0.5)
    noisy, _ = augment(torch.zeros(4, 64, 61), torch.eye(4), settings, np.random.default_rng(0))
    assert float(noisy.std()) == pytest.approx(0.5, rel=0.02)


def test_order_gives_full_batches_pass_after_pass() -> None:
    order = Order(11, 4, (0, 1))
    steps = [order(step) for step in range(6)]
    assert [number for number, _ in steps] == [0, 0, 1, 1, 2, 2]
    for first, second in zip(steps[::2], steps[1::2], strict=True):
        assert len(set(first[1].tolist() + second[1].tolist())) == 8
    assert not np.array_equal(steps[0][1], steps[2][1])
    np.testing.assert_array_equal(Order(11, 4, (0, 1))(5)[1], steps[5][1])  # any step, without the ones before it
    assert not np.array_equal(Order(11, 4, (0, 2))(0)[1], steps[0][1])
    assert sorted(Order(3, 4, (0,))(7)[1].tolist()) == [0, 1, 2]


class Rows(list):
    """Stands in for an UtteranceDataset."""

    classes, name = ("high", "low", "medium"), "rows"


def test_classes_in_the_order_of_a_scale() -> None:
    rows = Rows({"audio": torch.full((3,), float(label)), "label": label} for label in (0, 1, 2, 2))
    assert [label for _, label in FromDataset(rows)] == [0, 1, 2, 2]
    ordered = FromDataset(rows, ["low", "medium", "high"])
    assert [label for _, label in ordered[0:4]] == [2, 0, 1, 1]
    with pytest.raises(ModelError, match="rows: classes low, high; expected high, low, medium, in any order"):
        FromDataset(rows, ["low", "high"])


@pytest.mark.parametrize("classifier", ["avgpool", "FCNAttention"])
def test_short_and_silent_utterances(classifier: str) -> None:
    window = 3.0 if classifier == "avgpool" else None
    settings = TINY.model_copy(update={"classifier": classifier, "window": window, "epochs": 1, "speed": 0.2})
    odd = [(np.zeros(1, np.float32), 0), (np.zeros(500, np.float32), 1), (np.zeros(9_000, np.float32), 2)]
    result = train_one(settings, odd, odd)
    assert math.isfinite(result.best.loss)
    found = predict_probabilities(result.network, settings, [wave for wave, _ in odd])
    assert np.isfinite(found).all()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(data) -> None:
    with pytest.raises(
        ModelError, match=r"training: there is no CUDA device; expected a GPU\. To do: leave device out"
    ):
        train_one(TINY, *data, device="cuda")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"augment": "louder"}, "unknown pipeline 'louder'; expected one of light, noise, strong"),
        ({"decay_by_size": True}, "decay_by_size goes with optimizer sgd and schedule three-stages; got adamw"),
        ({"loss": "hinge"}, "setting loss is 'hinge'"),
        ({"accumulate": 0}, "setting accumulate is 0"),
        ({"precision": "fp16"}, "setting precision is 'fp16'"),
    ],
)
def test_bad_settings(values: dict[str, object], message: str) -> None:
    with pytest.raises(EmosetError, match=message):
        Settings.preset("baseline", **values)


def test_a_batch_that_cannot_be_cut(data) -> None:
    settings = TINY.model_copy(update={"accumulate": 5})
    with pytest.raises(ModelError, match="corpus: 4 utterances in a step, to be cut into 5; expected 5 or more"):
        train_one(settings, *data)


def test_schedules() -> None:
    assert one_cycle(1.0, 0.25) == pytest.approx(1.0)
    assert one_cycle(1.0, 1.0) == pytest.approx(1e-5)
    assert [decay_of_keras(n, 64) for n in (1, 448, 449, 960, 961, 9_984, 9_985)] == [
        0.005, 0.005, 0.002, 0.002, 0.0005, 0.0005, 1e-6,
    ]  # fmt: skip


def test_events_and_curves(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TINY.model_copy(update={"epochs": 2})
    train_one(settings, *data, out=tmp_path / "with")
    (events,) = (tmp_path / "with").glob("events.out.tfevents.*")
    content = events.read_bytes()
    assert [content.count(name) for name in (b"learning rate", b"validation_uar", b"validation_loss")] == [2, 2, 2]
    for module in ("torch.utils.tensorboard", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)  # as if they were not installed
    train_one(settings, *data, out=tmp_path / "without")
    names = {path.name for path in (tmp_path / "with").iterdir()} - {events.name, "curves.png"}
    assert {path.name for path in (tmp_path / "without").iterdir()} == names
