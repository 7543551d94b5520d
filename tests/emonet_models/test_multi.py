from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emonet_models import EmoNet, Settings, load, predict_probabilities, train
from emonet_models.loop import Run
from emonet_models.losses import Objective, losses
from emonet_models.processes import accelerator_for
from emonet_models.training import CorpusData
from emonet_models.weights import Config, save, tensors
from emoset.errors import ModelError, UnknownNameError

TINY: dict[str, Any] = {"filters": 2, "blocks": 1, "epochs": 2, "batch": 4, "learning_rate": 3e-3}
NAMES = ("high", "low", "noise", "mixed")


def corpus(count: int, classes: int, seed: int) -> CorpusData:
    """Tones and noise of 0.3 s to 2.5 s."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        samples, label = int(rng.integers(5_000, 40_000)), number % classes
        tone = np.sin(2 * np.pi * (2_000, 300, 0, 700)[label] * np.arange(samples) / 16_000)
        wave = tone + (1.0 if label > 1 else 0.05) * rng.standard_normal(samples)
        made.append(((0.1 * wave).astype(np.float32), label))
    return CorpusData(made, made[: 2 * classes], NAMES[:classes], {"split": f"s{seed}"})


CORPORA = {"large": corpus(18, 4, 0), "v1.2": corpus(7, 2, 1), "small": corpus(3, 3, 2)}


def run_on(settings: Settings, corpora: dict[str, CorpusData], **options: Any) -> Run:
    config = Config(settings, {name: tuple(data.classes) for name, data in corpora.items()})
    return Run(config, corpora, accelerator_for("cpu"), **options)


def outputs(network: EmoNet, names: list[str]) -> dict[str, np.ndarray]:
    waves = [wave for wave, _ in CORPORA["large"].train[:5]]
    return {name: predict_probabilities(network, network.settings, waves, name) for name in names}


@pytest.mark.parametrize("mode", ["scratch", "adapters"])
def test_many_corpora_are_learned_together(mode: str, tmp_path: Path) -> None:
    update: dict[str, Any] = {**TINY, "filters": 4, "mode": mode, "epochs": 12, "mixup": 0.0, "learning_rate": 1e-2}
    result = train(Settings(**update, average=0.8), CORPORA, out=tmp_path / "run")
    assert result.best.validation_uar > 0.7
    for line in map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()):
        assert list(line["corpora"]) == list(CORPORA)
        for name in ("loss", "validation_loss", "validation_uar"):
            assert line[name] == pytest.approx(np.mean([scores[name] for scores in line["corpora"].values()]))
    network, config = load(tmp_path / "run")
    assert config.corpora == {name: data.classes for name, data in CORPORA.items()}
    assert config.data == {"large": {"split": "s0"}, "v1.2": {"split": "s1"}, "small": {"split": "s2"}}
    expected = outputs(result.network, list(CORPORA))
    for name, found in outputs(network, list(CORPORA)).items():
        np.testing.assert_array_equal(found, expected[name])


def test_each_step_takes_a_batch_of_every_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[list[int]]] = {name: [] for name in CORPORA}
    chances = set()
    own = Run._batch

    def batch(run: Run, chosen: Any, *rest: Any) -> Any:
        for name, (_, rows) in chosen.items():
            seen[name].append(rows.tolist())
        chances.add(rest[1].bit_generator.state["state"]["state"])
        logmel, rows, targets = own(run, chosen, *rest)
        assert len(logmel) == 4 + 4 + 3
        return logmel, rows, targets

    monkeypatch.setattr(Run, "_batch", batch)
    train(Settings(**TINY), CORPORA)
    # 18 utterances give 4 batches of 4: the epoch. 7 give one, so they are shuffled anew in each step; 3 are all taken.
    assert [len(batches) for batches in seen.values()] == [8, 8, 8]
    for epoch in (seen["large"][:4], seen["large"][4:]):
        assert len({row for rows in epoch for row in rows}) == 16
    assert all(len(set(rows)) == 4 for rows in seen["v1.2"])
    assert {row for rows in seen["v1.2"] for row in rows} == set(range(7))
    assert all(sorted(rows) == [0, 1, 2] for rows in seen["small"])
    assert len(chances) == 8
    for batches in seen.values():
        batches.clear()
    train(Settings(**TINY, steps=3), CORPORA)
    assert [len(batches) for batches in seen.values()] == [6, 6, 6]


@pytest.mark.parametrize("mode", ["scratch", "adapters"])
def test_gradients_are_the_mean_over_corpora_with_their_own_class_weights(mode: str) -> None:
    settings = Settings(**TINY, mode=mode, head_dropout=0.0)
    sizes = {"a": (4, 3), "b": (2, 2)}
    network = EmoNet(settings, {name: classes for name, (_, classes) in sizes.items()}).train()
    if mode == "scratch":
        network.eval()  # batch-norms that corpora share see the whole batch while training
    logmel = torch.randn(6, 64, 61)
    rows = {"a": 4, "b": 2}
    targets = {name: torch.eye(classes)[torch.arange(count) % classes] for name, (count, classes) in sizes.items()}
    weights = {"a": torch.tensor([2.0, 1.0, 0.5]), "b": torch.tensor([0.25, 3.0])}
    found = Objective(network, weights, settings)(logmel, rows, targets)
    single = [
        losses(network.score(own, name), targets[name], weights[name], settings).mean()
        for name, own in zip(rows, torch.split(logmel, list(rows.values())), strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(single))
    parameters = list(network.parameters())
    mixed = torch.autograd.grad(found.mean(), parameters)
    for got, wanted in zip(mixed, torch.autograd.grad((single[0] + single[1]) / 2, parameters), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-5)


def test_parts_of_a_batch_amount_to_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss, gradient and the statistics of the input are those of the whole batch of 5, cut into 3 and 2."""
    rng = np.random.default_rng(0)
    pairs = [((0.1 * rng.standard_normal(32_000)).astype(np.float32), label) for label in (0, 1, 2, 2, 2)]
    data = {"one": CorpusData(pairs, pairs, NAMES[:3]), "two": CorpusData(pairs[:4], pairs, NAMES[:3])}

    def forward(self: Objective, logmel: torch.Tensor, rows: dict[str, int], targets: Any) -> torch.Tensor:
        self.network.input_norm(logmel.unsqueeze(1), {"one": len(logmel)})
        bias = self.network.heads["one"].output.bias
        return torch.stack([(targets[name] @ (bias + torch.arange(1.0, 4.0))).mean() for name in rows])

    monkeypatch.setattr(Objective, "forward", forward)
    update: dict[str, Any] = {**TINY, "batch": 5, "masks": 0, "mixup": 0.0, "speed": 0.0, "optimizer": "sgd"}
    found = []
    for parts in (1, 2):
        torch.manual_seed(0)
        run = run_on(Settings(**update, accumulate=parts), data)
        if parts == 2:  # two halves of 4 rows, but 3 and 2 of 5: only sizes that count make them one
            assert [len(run._batch({"one": run.corpora["one"].order(0)}, part, rng)[0]) for part in (0, 1)] == [3, 2]
        value = run._step(torch.ones(2), "step 1")
        statistics = run.network.input_norm.core.running_mean
        found.append((value, run.network.heads["one"].output.bias.grad, statistics.clone()))
    whole, cut = found
    np.testing.assert_allclose(whole[0], [(1 + 2 + 3 * 3) / 5, (1 + 2 + 3 * 2) / 4], rtol=1e-6)
    np.testing.assert_allclose(cut[0], whole[0], rtol=1e-6)
    torch.testing.assert_close(cut[1], whole[1])
    # The parts count alike for the statistics: 9 rows as 5 and 4.
    torch.testing.assert_close(cut[2], whole[2], rtol=1e-3, atol=0)


@pytest.mark.parametrize("classifier", ["avgpool", "FCNAttention"])
@pytest.mark.parametrize("share", [False, True])
def test_adding_a_corpus_changes_no_output_of_the_others(classifier: str, share: bool, tmp_path: Path) -> None:
    settings = Settings(**TINY, mode="adapters", classifier=classifier, share_attention=share, dropout=(0.0, 0.3))
    first = {name: CORPORA[name] for name in ("large", "v1.2")}
    start = train(settings, first, out=tmp_path / "start").network
    result = train(settings, {"small": CORPORA["small"]}, start=tmp_path / "start", out=tmp_path / "more")
    assert list(result.network.corpora) == ["large", "v1.2", "small"]
    assert list(result.best.corpora) == ["small"]
    grown = load(tmp_path / "more")[0]
    before, after = outputs(start, list(first)), outputs(grown, list(first))
    for name in first:
        np.testing.assert_array_equal(after[name], before[name])
    begun, own = tensors(start), grown.names_of("small")
    for name, value in tensors(grown).items():
        assert name in own or torch.equal(value, begun[name]), name
    fresh = EmoNet(settings, {"small": 3})
    assert all(not torch.equal(tensors(grown)[k], tensors(fresh)[k]) for k in own if k.endswith("conv.weight"))
    assert grown.classes["v1.2"] == ("high", "low")
    assert load(tmp_path / "more")[1].data["large"] == {"split": "s0"}


def test_adapters_learn_the_kernels_only_where_there_is_no_start(tmp_path: Path) -> None:
    settings = Settings(**TINY, mode="adapters", average=0.0)
    data = {"small": CORPORA["small"]}
    assert any(name == "pre_conv.conv.weight" for name in run_on(settings, data).learning)
    start = train(settings, data, out=tmp_path).network
    again = train(settings.model_copy(update={"seed": 5}), data, start=tmp_path).network
    changed = {name for name, value in tensors(again).items() if not torch.equal(value, tensors(start)[name])}
    assert changed
    assert changed <= again.names_of("small")


def test_batch_norms_of_the_start_can_be_reused(tmp_path: Path) -> None:
    settings = Settings(**TINY, mode="adapters", reuse_batchnorm=True, average=0.0)
    start = train(Settings(**TINY), {"large": CORPORA["large"]}, out=tmp_path / "start").network
    first = train(settings, {"small": CORPORA["small"]}, start=tmp_path / "start", out=tmp_path / "first").network
    assert "small" not in first.final_norm.own
    assert torch.equal(first.pre_conv.conv.weight, start.pre_conv.conv.weight)
    assert not torch.equal(first.pre_conv.norm.core.weight, start.pre_conv.norm.core.weight)  # nobody else uses it
    second = train(settings, {"v1.2": CORPORA["v1.2"]}, start=tmp_path / "first", out=tmp_path / "second").network
    assert load(tmp_path / "second")[1].reuse_batchnorm == ("small", "v1.2")
    np.testing.assert_array_equal(outputs(second, ["small"])["small"], outputs(first, ["small"])["small"])
    # A start without any gives the corpus its own.
    train(settings.model_copy(update={"reuse_batchnorm": False}), CORPORA, out=tmp_path / "own")
    more = train(settings, {"more": CORPORA["small"]}, start=tmp_path / "own").network
    assert "more" in more.final_norm.own


def test_last_layer_leaves_the_body_alone(tmp_path: Path) -> None:
    first = {name: CORPORA[name] for name in ("large", "v1.2")}
    start = train(Settings(**TINY), first, out=tmp_path).network
    settings = Settings(**TINY, mode="last-layer")
    grown = train(settings, {"small": CORPORA["small"]}, start=tmp_path).network
    assert list(grown.corpora) == ["large", "v1.2", "small"]
    for name, value in tensors(start).items():
        assert torch.equal(tensors(grown)[name], value), name
    fresh = EmoNet(settings, {"small": 3})
    own = fresh.names_of("small") & tensors(fresh).keys()
    assert any(not torch.equal(tensors(grown)[k], tensors(fresh)[k]) for k in own)


def test_finetuning_starts_from_the_weights_and_moves_all_of_them(tmp_path: Path) -> None:
    start = train(Settings(**TINY), {name: CORPORA[name] for name in ("large", "v1.2")}, out=tmp_path).network
    settings = Settings(**TINY, mode="finetune", average=0.0)
    run = run_on(settings, {"large": CORPORA["large"]}, start=start)
    for name, value in tensors(run.network).items():
        assert torch.equal(value, tensors(start)[name]), name
    assert set(run.learning) == {name for name, _ in run.network.named_parameters()}
    result = train(settings, {"large": CORPORA["large"]}, start=tmp_path)
    assert list(result.network.corpora) == ["large"]
    assert not torch.equal(result.network.pre_conv.conv.weight, start.pre_conv.conv.weight)


def test_rates_by_size_are_those_of_the_original() -> None:
    settings = Settings.preset("as-published", mels=64, filters=1, blocks=1, batch=4, learning_rate=0.1)
    many = [CORPORA["large"].train[0]] * 800 + list(CORPORA["large"].train[:4])
    run = run_on(settings, {"large": CorpusData(many, many[:8], NAMES), "small": CORPORA["small"]})
    run.course.stage, run.course.first, run.course.step = 1, 10, 110
    rate, factors = run._learning_rate()
    # Each corpus moves by its own lr / (1 + d t): 804 files give d = 0.002, 3 give 0.005.
    own = (rate * factors).tolist()
    assert own == pytest.approx([0.01 / (1 + 0.002 * 100), 0.01 / (1 + 0.005 * 100)])
    assert float(factors.mean()) == pytest.approx(1)


def test_as_published_takes_the_original_s_choices() -> None:
    settings = Settings.preset("as-published")
    assert (settings.optimizer, settings.schedule, settings.decay_by_size) == ("sgd", "three-stages", True)
    assert settings.reuse_batchnorm
    assert (settings.evaluation, settings.epochs, settings.batch, settings.learning_rate) == (
        "second-half",
        50,
        64,
        0.1,
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for mode in ("scratch", "adapters"):
        settings = Settings(**TINY, mode=mode)
        config = Config(settings, {"small": ("high", "low", "noise")})
        made[mode] = tmp_path_factory.mktemp(mode)
        save(made[mode], tensors(config.network()), config)
    return made


@pytest.mark.parametrize(
    ("mode", "start", "update", "message"),
    [
        ("finetune", None, {}, r"training: mode finetune without a model to start from; expected a model folder"),
        ("last-layer", None, {}, r"mode last-layer without a model to start from"),
        ("scratch", "scratch", {}, r"mode scratch with a model to start from; expected none"),
        ("finetune", "adapters", {}, r"mode finetune from a model in mode adapters; expected a model without adapters"),
        ("finetune", "scratch", {"filters": 3}, r"setting filters is 3; expected 2, as in the model"),
        ("last-layer", "scratch", {"window": 3.0}, r"setting window is 3.0; expected 2.0, as in the start model"),
        ("adapters", "adapters", {"evaluation": "second-half"}, r"setting evaluation is 'second-half'; expected 'win"),
    ],
)
def test_starts_that_do_not_fit(
    mode: str, start: str | None, update: dict[str, Any], message: str, folders: dict[str, Path]
) -> None:
    settings = Settings(**{**TINY, "mode": mode, **update})
    with pytest.raises(ModelError, match=message):
        train(settings, {"small": CORPORA["small"]}, start=folders[start] if start else None)


@pytest.mark.parametrize("classes", [("low", "high", "noise"), ("high", "low", "joy")])
def test_classes_that_differ_from_the_start_model_s(classes: tuple[str, ...], folders: dict[str, Path]) -> None:
    data = {"small": CorpusData(CORPORA["small"].train, CORPORA["small"].validation, classes)}
    message = rf"classes {', '.join(classes)} of small; expected those of the start model: high, low, noise"
    for mode in ("finetune", "last-layer"):
        with pytest.raises(ModelError, match=message):
            train(Settings(**TINY, mode=mode), data, start=folders["scratch"])


def test_bad_corpora() -> None:
    settings, good = Settings(**TINY), CORPORA["small"]
    with pytest.raises(ModelError, match="no corpora; expected at least one"):
        train(settings, {})
    cases = [
        (CorpusData([], good.validation, good.classes), "bad, training set: no utterances"),
        (CorpusData(good.train, [], good.classes), "bad, validation set: no utterances"),
        (CorpusData(good.train[:2], good.validation, good.classes), "bad, training set: no example of noise"),
        (
            CorpusData(good.train, good.validation, ("high",)),
            r"bad: classes \['high'\]; expected two or more different",
        ),
        (CorpusData(good.train, good.validation, ("a", "b", "a")), "expected two or more different names"),
    ]
    for data, message in cases:
        with pytest.raises(ModelError, match=message):
            train(settings, {"good": good, "bad": data})
    with pytest.raises(UnknownNameError):
        train(settings, {"small": good}).network(torch.zeros(1, 32_000), "large")
