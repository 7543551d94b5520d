"""The network against the original's vectors; on CI a missing folder is a failure (see `shared_folder`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from emonet_models import ResNet, Settings, from_keras_variables
from emonet_models.layers import Attention, Head
from emonet_models.network import probabilities
from emoset.errors import ModelError

SCRATCH = Settings(mels=128, filters=8, classifier="avgpool", input_bn=False)


def arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / "vectors" / name, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def vectors(shared_folder: Path) -> dict[str, np.ndarray]:
    return arrays(shared_folder, "scratch_avgpool/vectors.npz")


@pytest.fixture(scope="module")
def network(shared_folder: Path) -> ResNet:
    network = ResNet(SCRATCH, 7).eval()
    from_keras_variables(network, arrays(shared_folder, "scratch_avgpool/variables.npz"))
    return network


def difference(found: torch.Tensor, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float((found.double() - torch.from_numpy(expected).double()).abs().max())


def as_keras(maps: torch.Tensor) -> torch.Tensor:
    return maps.permute(0, 2, 3, 1)


@torch.no_grad()
def test_mel_matrix_and_logmel(network: ResNet, vectors: dict[str, np.ndarray]) -> None:
    assert difference(network.logmel.matrix.T, vectors["mel_matrix"]) < 2e-5
    logmel = network.logmel(torch.from_numpy(vectors["wave_2s"])).transpose(1, 2)
    errors = (logmel - torch.from_numpy(vectors["logmel_2s"])).abs()
    assert errors.mean() < 2e-5
    assert errors.max() < 1e-3
    assert torch.all(logmel[7] == np.float32(np.log(1e-6)))  # the row that is all silence


@torch.no_grad()
def test_every_map_from_the_saved_logmel(network: ResNet, vectors: dict[str, np.ndarray]) -> None:
    seen: dict[str, torch.Tensor] = {}
    names = {network.pre_conv: "pre_conv"}
    for number, block in enumerate(network.blocks):
        names[block] = f"block{number}"
        names |= {block.first: f"convtask{2 * number + 1}", block.second: f"convtask{2 * number + 2}"}
    hooks = [
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.clone()}))
        for module, name in names.items()
    ]
    seen["resnet_out"] = network.maps(torch.from_numpy(vectors["logmel_2s"]).transpose(1, 2))
    for hook in hooks:
        hook.remove()
    assert len(seen) == 1 + 6 + 12 + 1
    for name, maps in seen.items():
        assert difference(as_keras(maps), vectors[f"2s/EMO-DB/{name}"]) < 1e-4, name
    flat = network.pooling(seen["resnet_out"])
    assert difference(flat, vectors["2s/EMO-DB/flatten"]) < 1e-4
    dense = network.head.dense(flat)
    assert difference(dense, vectors["2s/EMO-DB/EMO-DB_dense"]) < 1e-4
    assert difference(network.head.norm(dense), vectors["2s/EMO-DB/EMO-DB_dense_batchnorm"]) < 1e-4


@torch.no_grad()
def test_outputs(network: ResNet, vectors: dict[str, np.ndarray]) -> None:
    expected = vectors["2s/EMO-DB/output"]
    from_wave = probabilities(network(torch.from_numpy(vectors["wave_2s"])))
    from_logmel = probabilities(network.score(torch.from_numpy(vectors["logmel_2s"]).transpose(1, 2)))
    assert difference(from_wave, expected) < 1e-5
    assert difference(from_logmel, expected) < 1e-5


@pytest.mark.parametrize("length", ["2s", "var"])
@pytest.mark.parametrize(("task", "classes"), [("AD", 2), ("EMO-DB", 7), ("IEMOCAP", 4)])
@torch.no_grad()
def test_attention_and_head(shared_folder: Path, task: str, classes: int, length: str) -> None:
    variables = arrays(shared_folder, "adapters_fcn/variables.npz")
    vectors = arrays(shared_folder, "adapters_fcn/vectors.npz")
    maps = torch.from_numpy(vectors[f"{length}/{task}/resnet_out"]).permute(0, 3, 1, 2)
    attention, head = Attention(maps.shape[1]), Head(maps.shape[1], classes).eval()
    for name in ("W", "b", "u"):
        getattr(attention, name).copy_(torch.from_numpy(variables[f"{task}_2d_attention/{name}:0"]))
    for layer, name in ((head.dense, f"{task}_dense"), (head.output, task)):
        layer.weight.copy_(torch.from_numpy(variables[f"{name}/kernel:0"]).T)
        layer.bias.copy_(torch.from_numpy(variables[f"{name}/bias:0"]))
    parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    for own, keras in parts.items():
        getattr(head.norm, own).copy_(torch.from_numpy(variables[f"{task}_dense_batchnorm/{keras}:0"]))
    attended = attention(maps)
    assert difference(attended, vectors[f"{length}/{task}/{task}_2d_attention"]) < 1e-5
    assert difference(head.dense(attended), vectors[f"{length}/{task}/{task}_dense"]) < 1e-5
    # With two classes the original's output is the one sigmoid unit: the probability of the second class.
    output = probabilities(head(attended))[:, -vectors[f"{length}/{task}/output"].shape[1] :]
    assert difference(output, vectors[f"{length}/{task}/output"]) < 1e-5


def test_variables_of_another_configuration(shared_folder: Path) -> None:
    variables = arrays(shared_folder, "scratch_avgpool/variables.npz")
    with pytest.raises(ModelError, match=r"another configuration: no input_norm\.weight"):
        from_keras_variables(ResNet(SCRATCH.model_copy(update={"input_bn": True}), 7), variables)
    with pytest.raises(ModelError, match=r"head\.output\.weight of shape \(7, 64\) where the network has \(5, 64\)"):
        from_keras_variables(ResNet(SCRATCH, 5), variables)
    with pytest.raises(ModelError, match=r"variables of adapters .*expected a single-task network in scratch mode"):
        from_keras_variables(ResNet(SCRATCH, 7), arrays(shared_folder, "adapters_fcn/variables.npz"))
