"""Several corpora in one network: names, adding, what learns, what stays."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from emonet_models import EmoNet, Settings
from emonet_models.layers import ByCorpus, key_of
from emonet_models.weights import Config, start_from, tensors
from emoset.errors import ModelError, UnknownNameError

SMALL: dict[str, Any] = {"filters": 2, "blocks": 1, "classifier": "FCNAttention"}
ADAPTERS = Settings(**SMALL, mode="adapters")
NAMES = (
    "a.b",
    "keys",
    "type",
    "training",
    "core",
    "_modules",
    "%74raining",
    "%2E",
    "own",
    "own.core",
    "dense-corpus",
    "FAU Aibo",
    "ü",
    "x/y",
)
MODES = ("scratch", "finetune", "last-layer", "adapters")


def logmel(rows: int = 4) -> Tensor:
    return torch.randn(rows, 64, 61, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("settings", [Settings(**SMALL), ADAPTERS])
def test_corpora_may_have_any_name(settings: Settings) -> None:
    network = EmoNet(settings, {name: 2 + number for number, name in enumerate(NAMES)}).eval()
    assert list(network.heads) == list(network.corpora) == list(NAMES)
    scores = network.score(logmel(14), dict.fromkeys(NAMES, 1))
    assert [s.shape[1] for s in scores.values()] == [1, *range(3, 16)]
    other = EmoNet(settings, network.corpora).eval()
    other.load_state_dict(network.state_dict())
    for name in NAMES:
        assert torch.equal(other.score(logmel(), name), network.score(logmel(), name))
        assert all(f".{key_of(name)}." in place for place in network.names_of(name))
    assert len({name for corpus in NAMES for name in network.names_of(corpus)}) == sum(
        len(network.names_of(corpus)) for corpus in NAMES
    )
    copy.deepcopy(network).to(torch.float64)


def test_names_of_weights_are_readable() -> None:
    names = set(tensors(EmoNet(ADAPTERS, {"emodb": 7, "v1.2": 4})))
    assert {
        "pre_conv.conv.weight",
        "blocks.0.first.adapters.emodb.weight",
        "final_norm.own.v1%2E2.running_mean",
    } <= names
    assert {"attention.own.emodb.W", "heads.emodb.dense.weight", "input_norm.own.emodb.bias"} <= names
    shared = set(tensors(EmoNet(Settings(**SMALL), {"emodb": 7})))
    assert {"attention.core.W", "blocks.2.second.norm.core.weight", "input_norm.core.bias"} <= shared
    modules = ByCorpus()
    modules.add("keys", nn.Identity())
    assert ("keys" in modules, "key" in modules, len(modules)) == (True, False, 1)


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        (ADAPTERS, {}),
        (ADAPTERS.model_copy(update={"share_attention": True}), {}),
        (Settings(**SMALL), {}),
    ],
)
def test_a_new_corpus_changes_no_other(settings: Settings, given: dict[str, Any]) -> None:
    """Nor does learning it, in mode adapters: the outputs stay the same, bit by bit."""
    network = EmoNet(settings, {"emodb": 7, "urdu": 4}).eval()
    before = {corpus: network.score(logmel(), corpus) for corpus in network.corpora}
    kept = {name: value.clone() for name, value in tensors(network).items()}
    network.add_corpus("new", 3, **given)
    assert network.corpora == {"emodb": 7, "urdu": 4, "new": 3}
    assert not any(module.training for module in network.modules())
    learning = network.freeze_rest(["new"])
    optimizer = torch.optim.SGD(learning, lr=0.1, momentum=0.9)
    network.train()
    for _ in range(3):
        network.score(logmel(), "new").square().sum().backward()
        optimizer.step()
    network.eval()
    for corpus, scores in before.items():
        assert torch.equal(network.score(logmel(), corpus), scores) == (settings.mode == "adapters")
    changed = {name for name, value in tensors(network).items() if name in kept and not torch.equal(kept[name], value)}
    assert bool(changed) == (settings.mode != "adapters")


def test_reused_batchnorm() -> None:
    """A new corpus may take the batch-norms of a network without adapters, and only adapters, attention and head."""
    start = EmoNet(Settings(**SMALL), {"emodb": 7})
    for _ in range(3):
        start.train().score(logmel(), "emodb")
    network = EmoNet(ADAPTERS, {"new": 3}, reuse_batchnorm=["new"])
    assert not any("norm.own" in name for name in tensors(network))
    start_from(network, start)
    for name, value in tensors(start).items():
        if not name.startswith(("heads", "attention")):
            assert torch.equal(tensors(network)[name], value), name
    assert network.reused == {"new"}
    # Without its adapters it is the network that it started from.
    network.eval(), start.eval()
    with torch.no_grad():
        for unit in network.units():
            unit.adapters["new"].weight.zero_()
    assert torch.equal(network.maps(logmel()), start.maps(logmel()))
    # The shared batch-norms learn as long as nobody else uses them.
    names = {id(p): name for name, p in network.named_parameters()}
    assert "final_norm.core.weight" in {names[id(p)] for p in network.trainable(["new"])}
    network.add_corpus("other", 4, reuse_batchnorm=True)
    names = {id(p): name for name, p in network.named_parameters()}
    assert {names[id(p)] for p in network.trainable(["other"])} == {
        name for name in network.names_of("other") if "running" not in name and "num_batches" not in name
    }
    assert "final_norm.core.weight" in {names[id(p)] for p in network.trainable(["new", "other"])}
    network.add_corpus("own", 4)
    assert network.reused == {"new", "other"}
    assert "final_norm.own.own.weight" in tensors(network)


def learning(network: EmoNet, corpora: list[str], **options: bool) -> set[str]:
    names = {id(p): name for name, p in network.named_parameters()}
    found = network.trainable(corpora, **options)
    assert len({id(p) for p in found}) == len(found)
    return {names[id(p)] for p in found}


@pytest.mark.parametrize("mode", MODES)
def test_what_learns(mode: str) -> None:
    network = EmoNet(Settings(**SMALL, mode=mode), {"emodb": 7, "urdu": 4})
    everything = {name for name, _ in network.named_parameters()}
    shared = {name for name in everything if ".emodb." not in name and ".urdu." not in name}
    own = {name for name in everything if ".emodb." in name}
    if mode in ("scratch", "finetune"):
        expected = shared | own
    elif mode == "last-layer":
        expected = {name for name in everything if name.startswith("heads.emodb.")}
    else:
        expected = own
        assert any(".adapters.emodb." in name for name in own)
        assert any(name.startswith("attention.own.emodb.") for name in own)
    assert learning(network, ["emodb"]) == expected
    if mode == "adapters":
        assert learning(network, ["emodb"], learn_shared=True) == own | shared
        assert learning(network, ["emodb", "urdu"], learn_shared=True) == everything
    with pytest.raises(UnknownNameError, match=r"unknown corpus 'emo-db'.*nearest: emodb"):
        network.trainable(["emo-db"])


def test_shared_attention_learns_with_what_is_shared_only() -> None:
    network = EmoNet(ADAPTERS.model_copy(update={"share_attention": True}), {"emodb": 7})
    assert not any("attention" in name for name in learning(network, ["emodb"]))
    assert "attention.core.W" in learning(network, ["emodb"], learn_shared=True)


@pytest.mark.parametrize("mode", MODES)
def test_the_rest_is_frozen_with_its_statistics(mode: str) -> None:
    network = EmoNet(Settings(**SMALL, mode=mode), {"emodb": 7, "urdu": 4})
    found = network.freeze_rest(["urdu"])
    assert {id(p) for p in network.parameters() if p.requires_grad} == {id(p) for p in found}
    before = {name: value.clone() for name, value in tensors(network).items()}
    network.eval().train()
    network.score(logmel(), "urdu")
    moved = {name for name, value in tensors(network).items() if not torch.equal(before[name], value)}
    names = {f"{name}.running_mean" for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    if mode == "last-layer":
        assert moved == {"heads.urdu.norm.running_mean", "heads.urdu.norm.running_var"}
    elif mode == "adapters":
        assert moved
        assert all(".urdu." in name for name in moved)
    else:
        assert names <= moved
    network.freeze_rest(["emodb", "urdu"])
    assert all(p.requires_grad for p in network.heads.parameters())


def test_dropout_in_adapters_mode_is_on_the_adapters_only() -> None:
    network = EmoNet(ADAPTERS.model_copy(update={"dropout": (0.5, 0.5), "head_dropout": 0.0}), {"a": 3})
    network.freeze_rest([])  # every batch-norm in evaluation mode: what is left of training is dropout
    network.train()
    assert not torch.equal(network.maps(logmel()), network.maps(logmel()))
    with torch.no_grad():
        for unit in network.units():
            unit.adapters["a"].weight.zero_()
    assert torch.equal(network.maps(logmel()), network.maps(logmel()))
    scratch = EmoNet(Settings(**SMALL, dropout=(0.5, 0.5)), {"a": 3})
    scratch.freeze_rest([])
    scratch.requires_grad_(False).train()
    assert not torch.equal(scratch.maps(logmel()), scratch.maps(logmel()))


def test_start_from_another_model() -> None:
    first, second = (EmoNet(Settings(**SMALL, mode="adapters"), {"emodb": 7, "urdu": 4}) for _ in range(2))
    second.add_corpus("new", 3)
    first.classes, second.classes = {"urdu": ("a", "b", "c", "d")}, {"urdu": ("a", "b", "d", "c")}
    before = {name: value.clone() for name, value in tensors(second).items()}
    start_from(second, first)
    for name, value in tensors(second).items():
        other = ".new." in name or ".urdu." in name  # of another corpus, or of other classes
        assert torch.equal(value, before[name] if other else tensors(first)[name]), name
    for setting, value in (("filters", 3), ("classifier", "avgpool"), ("input_bn", False)):
        settings = Settings(**{**SMALL, setting: value})
        with pytest.raises(
            ModelError, match=f"starting from a model: setting {setting} is {value!r}; expected .* as in the model"
        ):
            start_from(EmoNet(settings, {"emodb": 7}), first)


def test_start_with_another_window_leaves_the_heads() -> None:
    settings = Settings(filters=1, blocks=1)
    network, start = (EmoNet(s, {"a": 3}) for s in (settings, settings.model_copy(update={"window": 5.0})))
    heads = {name: value.clone() for name, value in tensors(network).items() if name.startswith("heads")}
    start_from(network, start)
    assert torch.equal(network.pre_conv.conv.weight, start.pre_conv.conv.weight)
    assert all(torch.equal(tensors(network)[name], value) for name, value in heads.items())


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (None, ModelError, r"network: no corpus is named; expected one of emodb, urdu\. To do: say whose classes"),
        ("emo-db", UnknownNameError, r"unknown corpus 'emo-db'; expected one of emodb, urdu"),
        ({"emo-db": 4}, UnknownNameError, r"unknown corpus 'emo-db'"),
        ({}, ModelError, r"a batch of 4 rows, and no corpus; expected numbers of rows, each 1 or more, that add up"),
        ({"emodb": 3}, ModelError, r"network: a batch of 4 rows, and 3 of emodb; expected numbers"),
        ({"emodb": 3, "urdu": 2}, ModelError, r"a batch of 4 rows, and 3 of emodb, 2 of urdu"),
        ({"emodb": 4, "urdu": 0}, ModelError, r"a batch of 4 rows, and 4 of emodb, 0 of urdu; .*each 1 or more"),
        ({"emodb": 5, "urdu": -1}, ModelError, r"a batch of 4 rows, and 5 of emodb, -1 of urdu"),
    ],
)
def test_rows_that_are_no_division(rows: Any, error: type[Exception], message: str) -> None:
    network = EmoNet(ADAPTERS, {"emodb": 7, "urdu": 4})
    with pytest.raises(error, match=message):
        network.score(logmel(), rows)


def test_corpora_come_in_the_order_of_the_batch() -> None:
    network = EmoNet(ADAPTERS, {"emodb": 7, "urdu": 4}).eval()
    expected = network.score(logmel(), {"emodb": 3, "urdu": 1})
    found = network.score(logmel().flip(0), {"urdu": 1, "emodb": 3})
    assert list(found) == ["urdu", "emodb"]
    for corpus, scores in expected.items():
        torch.testing.assert_close(found[corpus], scores.flip(0), rtol=0, atol=1e-6)


def test_forward_maps_and_embed_take_the_corpus() -> None:
    network = EmoNet(ADAPTERS, {"emodb": 7, "urdu": 4}).eval()
    audio = torch.randn(2, 32_000)
    own = network.logmel(audio)
    assert torch.equal(network(audio, "urdu"), network.heads["urdu"](network.embed(own, "urdu")))
    assert network.embed(own, "urdu").shape == (2, network.features)
    assert not torch.equal(network.maps(own, "urdu"), network.maps(own, "emodb"))
    for function in (network, network.maps, network.embed):
        with pytest.raises(ModelError, match="no corpus is named"):
            function(own if function is not network else audio)


@pytest.mark.parametrize(
    ("name", "classes", "options", "message"),
    [
        ("", 3, {}, r"network: a corpus without a name; expected a name"),
        ("emodb", 7, {}, r"corpus 'emodb': the network has it already\. To do: give another name"),
        ("new", 1, {}, r"corpus 'new': 1 classes; expected two or more"),
        (
            "new",
            3,
            {"reuse_batchnorm": True},
            r"corpus 'new': the network has no shared batch-norms.*leave reuse_batchnorm",
        ),
    ],
)
def test_corpora_that_cannot_be_added(name: str, classes: int, options: dict[str, bool], message: str) -> None:
    network = EmoNet(ADAPTERS, {"emodb": 7})
    before = list(network.state_dict())
    with pytest.raises(ModelError, match=message):
        network.add_corpus(name, classes, **options)
    assert (list(network.state_dict()), network.corpora) == (before, {"emodb": 7})


def test_reuse_of_an_unknown_corpus() -> None:
    with pytest.raises(UnknownNameError, match="unknown corpus 'urdu'"):
        EmoNet(ADAPTERS, {"emodb": 7}, reuse_batchnorm=["urdu"])


def test_a_new_corpus_is_where_the_network_is() -> None:
    network = EmoNet(ADAPTERS, {"emodb": 7}).double()
    network.add_corpus("urdu", 4)
    assert {p.dtype for p in network.parameters()} == {torch.float64}
    assert network.score(logmel().double(), "urdu").dtype == torch.float64
    config = Config(ADAPTERS, {"emodb": ("a", "b")})
    assert config.network().classes == {"emodb": ("a", "b")}
