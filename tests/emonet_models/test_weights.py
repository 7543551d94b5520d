from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from emonet_models import ResNet, Settings, from_keras_variables, load, save
from emonet_models.weights import Config, tensors
from emoset.errors import ModelError

SETTINGS = Settings(filters=2, blocks=1)
CLASSES = ("anger", "joy", "neutral")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save(tmp_path, tensors(ResNet(SETTINGS, 3)), Config(SETTINGS, CLASSES, "emodb", {"epoch": 3}))
    return tmp_path


def test_round_trip(folder: Path) -> None:
    network, config = load(folder)
    assert config == Config(SETTINGS, CLASSES, "emodb", {"epoch": 3})
    assert not network.training
    torch.manual_seed(0)
    for name, value in tensors(ResNet(SETTINGS, 3)).items():
        assert torch.equal(value, tensors(network)[name])


def test_nothing_is_pickled(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    content = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert set(json.loads(content[8 : 8 + size])) == set(tensors(ResNet(SETTINGS, 3)))


def edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text())
    for key, value in changes.items():
        place, _, name = key.rpartition("__")
        (content[place] if place else content)[name] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings__filters": 3}, r"model\.safetensors: the weights are of another configuration: .*of shape.*"
                                   r"where the network has.*To do: use the config\.json that was saved with"),
        ({"settings__blocks": 2}, r"another configuration: no blocks\..* and \d+ more; expected \d+ tensors"),
        ({"settings__classifier": "FCNAttention"}, r"no pooling\.W"),
        ({"settings__colour": "red"}, r"config\.json: unknown setting 'colour'; expected one of .*copy the model folder"),
        ({"settings__mels": -1}, r"config\.json: setting mels is -1: Input should be greater than or equal to 8"),
        ({"settings": 5}, r"config\.json: the file is damaged"),
        ({"classes": ["anger", "joy"]}, r"head\.output\.weight of shape \(3, 8\) where the network has \(1, 8\)"),
        ({"classes": ["anger", "anger", "joy"]}, "expected two or more different names"),
        ({"classes": [1, 2, 3]}, r"config\.json: the file is damaged"),
        ({"format": 2}, r"saved in format 2; expected 1 or older. To do: upgrade emoset-speech"),
    ],
)  # fmt: skip
def test_config_and_weights_that_do_not_fit(folder: Path, changes: dict[str, object], message: str) -> None:
    edit(folder, **changes)
    with pytest.raises(ModelError, match=message):
        load(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "{}", "null"])
def test_damaged_config(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json: the file is damaged .*To do: copy the model folder again"):
        load(folder)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_weights_cut_short(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"model\.safetensors: the weights are damaged or cut short .*copy the model"):
        load(folder)


def test_absent_files(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors: cannot be read \(No such file or directory\)"):
        load(folder)
    with pytest.raises(ModelError, match=r"config\.json: cannot be read .*expected a folder that 'emonet train' wrote"):
        load(tmp_path / "nowhere")


def keras_variables(network: ResNet, first: int = 0, task: str = "mytask") -> dict[str, np.ndarray]:
    """What the original would have saved for a network, convolutions numbered from `first` on."""
    own = {name: value.numpy() for name, value in tensors(network).items()}
    statistics = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    made: dict[str, np.ndarray] = {}

    def norm(keras: str, name: str) -> None:
        made.update({f"{keras}/{k}:0": own[f"{name}.{part}"] for k, part in statistics.items()})

    units = ["pre_conv"] + [f"blocks.{n}.{part}" for n in range(len(network.blocks)) for part in ("first", "second")]
    for number, unit in enumerate(units, first):
        layer = f"conv2d_{number}" if number else "conv2d"
        made[f"{layer}/kernel:0"] = own[f"{unit}.conv.weight"].transpose(2, 3, 1, 0)
        norm(f"core_{layer}_batch_normalization", f"{unit}.norm")
    norm("core_final_batch_normalization", "final_norm")
    if "input_norm.weight" in own:
        norm("some_batch_normalization", "input_norm")
    if "pooling.W" in own:
        made |= {f"core_2d_attention/{name}:0": own[f"pooling.{name}"] for name in ("W", "b", "u")}
    for layer, name in ((f"{task}_dense", "head.dense"), (task, "head.output")):
        made |= {f"{layer}/kernel:0": own[f"{name}.weight"].T, f"{layer}/bias:0": own[f"{name}.bias"]}
    norm(f"{task}_dense_batchnorm", "head.norm")
    return made


@pytest.mark.parametrize("classifier", ["avgpool", "FCNAttention"])
@pytest.mark.parametrize("input_bn", [False, True])
@pytest.mark.parametrize("first", [0, 13])
def test_from_keras_variables(classifier: str, input_bn: bool, first: int) -> None:
    settings = Settings(filters=2, blocks=2, classifier=classifier, input_bn=input_bn)
    source, network = ResNet(settings, 4).eval(), ResNet(settings, 4).eval()
    for value in tensors(source).values():
        value.uniform_(0.5, 1.5)
    from_keras_variables(network, keras_variables(source, first))
    audio = torch.randn(1, 32_000)
    assert torch.equal(network(audio), source(audio))


def test_keras_variables_left_over_or_absent() -> None:
    network = ResNet(SETTINGS, 3)
    variables = keras_variables(network)
    with pytest.raises(ModelError, match="surplus/kernel:0 that the network does not have"):
        from_keras_variables(network, {**variables, "surplus/kernel:0": np.zeros(3)})
    del variables["conv2d_3/kernel:0"]
    with pytest.raises(ModelError, match="Keras variables: the weights are of another configuration: no blocks"):
        from_keras_variables(network, variables)
