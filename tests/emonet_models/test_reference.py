"""The network against the original's vectors; on CI a missing folder is a failure (see `shared_folder`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from emonet_models import EmoNet, Settings
from emonet_models.converting import Layout
from emonet_models.network import probabilities
from emoset.errors import ModelError

SCRATCH = Settings(mels=128, filters=8, classifier="avgpool", input_bn=False)
ADAPTERS = Settings(mode="adapters", mels=64, filters=8, classifier="FCNAttention", input_bn=False, window=None)
SETS = {
    "scratch_avgpool": (SCRATCH, {"EMO-DB": 7}),
    "adapters_fcn": (ADAPTERS, {"AD": 2, "EMO-DB": 7, "IEMOCAP": 4}),
}
WAVES = [("scratch_avgpool", "2s"), ("adapters_fcn", "2s"), ("adapters_fcn", "var")]
CASES = [(folder, wave, corpus) for folder, wave in WAVES for corpus in SETS[folder][1]]


def arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / "vectors" / name, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def vectors(shared_folder: Path) -> dict[str, dict[str, np.ndarray]]:
    return {folder: arrays(shared_folder, f"{folder}/vectors.npz") for folder in SETS}


@pytest.fixture(scope="module")
def networks(shared_folder: Path) -> dict[str, EmoNet]:
    made = {}
    for folder, (settings, corpora) in SETS.items():
        made[folder] = EmoNet(settings, corpora).eval()
        variables = arrays(shared_folder, f"{folder}/variables.npz")
        Layout.of(variables, folder).fill(made[folder], variables, folder)
    return made


def difference(found: torch.Tensor, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float((found.double() - torch.from_numpy(expected).double()).abs().max())


@pytest.mark.parametrize(("folder", "wave"), WAVES)
@torch.no_grad()
def test_mel_matrix_and_logmel(networks, vectors, folder: str, wave: str) -> None:
    network, saved = networks[folder], vectors[folder]
    assert difference(network.logmel.matrix.T, saved["mel_matrix"]) < 2e-5
    logmel = network.logmel(torch.from_numpy(saved[f"wave_{wave}"])).transpose(1, 2)
    errors = (logmel - torch.from_numpy(saved[f"logmel_{wave}"])).abs()
    assert errors.mean() < 2e-5
    assert errors.max() < 1e-3
    if wave == "2s":
        assert torch.all(logmel[7] == np.float32(np.log(1e-6)))  # the row that is all silence


@pytest.mark.parametrize(("folder", "wave", "corpus"), CASES)
@torch.no_grad()
def test_every_map_from_the_saved_logmel(networks, vectors, folder: str, wave: str, corpus: str) -> None:
    network, saved = networks[folder], vectors[folder]
    seen: dict[str, torch.Tensor] = {}
    head = network.heads[corpus]
    names = {network.pre_conv: "pre_conv", head.dense: f"{corpus}_dense", head.norm: f"{corpus}_dense_batchnorm"}
    for number, block in enumerate(network.blocks):
        names[block] = f"block{number}"
        names |= {block.first: f"convtask{2 * number + 1}", block.second: f"convtask{2 * number + 2}"}
    hooks = [
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.clone()}))
        for module, name in names.items()
    ]
    logmel = torch.from_numpy(saved[f"logmel_{wave}"]).transpose(1, 2)
    seen["output"] = probabilities(network.score(logmel, corpus))[:, -saved[f"{wave}/{corpus}/output"].shape[1] :]
    for hook in hooks:
        hook.remove()
    seen["resnet_out"] = network.maps(logmel, corpus)
    seen["flatten" if folder == "scratch_avgpool" else f"{corpus}_2d_attention"] = network.embed(logmel, corpus)
    stored = {name.split("/", 2)[2] for name in saved if name.startswith(f"{wave}/{corpus}/")} - {corpus}
    assert stored <= set(seen)
    assert len(stored) in (12, 24)  # ConvTasks are stored for one corpus of each set
    for name in stored:
        found = seen[name].permute(0, 2, 3, 1) if seen[name].ndim == 4 else seen[name]
        tolerance = 1e-5 if name == "output" else 1e-4
        assert difference(found, saved[f"{wave}/{corpus}/{name}"]) < tolerance, name


@pytest.mark.parametrize(("folder", "wave", "corpus"), CASES)
@torch.no_grad()
def test_outputs_from_the_waveform(networks, vectors, folder: str, wave: str, corpus: str) -> None:
    expected = vectors[folder][f"{wave}/{corpus}/output"]
    found = probabilities(networks[folder](torch.from_numpy(vectors[folder][f"wave_{wave}"]), corpus))
    # With two classes the original's output is the one sigmoid unit: the probability of the second class.
    assert difference(found[:, -expected.shape[1] :], expected) < 1e-5


@torch.no_grad()
def test_outputs_of_a_mixed_batch(networks, vectors) -> None:
    saved = vectors["adapters_fcn"]
    logmel = torch.from_numpy(saved["logmel_2s"]).transpose(1, 2)
    rows = {"IEMOCAP": 8, "AD": 8, "EMO-DB": 8}
    for corpus, scores in networks["adapters_fcn"].score(logmel.repeat(3, 1, 1), rows).items():
        expected = saved[f"2s/{corpus}/output"]
        assert difference(probabilities(scores)[:, -expected.shape[1] :], expected) < 1e-5


@pytest.mark.parametrize(
    ("folder", "changes", "corpora", "message"),
    [
        ("scratch_avgpool", {"input_bn": True}, {"EMO-DB": 7}, r"no core_input_batch_normalization/gamma:0"),
        ("scratch_avgpool", {"filters": 4}, {"EMO-DB": 7}, r"of shape \(3, 3, 1, 8\) where the network has \(3, 3, 1, 4\)"),
        ("scratch_avgpool", {}, {"EMO-DB": 5}, r"EMO-DB/kernel:0 of shape \(64, 7\) where the network has \(64, 5\)"),
        ("scratch_avgpool", {}, {"emodb": 7}, r"no emodb_dense/kernel:0"),
        ("scratch_avgpool", {"mode": "adapters"}, {"EMO-DB": 7}, r"no EMO-DB_conv2d_adapter/kernel:0"),
        ("adapters_fcn", {"mode": "scratch"}, SETS["adapters_fcn"][1], r"AD_2d_attention/W:0 that the network does not have|no core_final"),
        ("adapters_fcn", {"share_attention": True}, SETS["adapters_fcn"][1], r"no core_2d_attention/W:0"),
    ],
)  # fmt: skip
def test_variables_of_another_configuration(shared_folder: Path, folder, changes, corpora, message: str) -> None:
    network = EmoNet(SETS[folder][0].model_copy(update=changes), corpora)
    variables = arrays(shared_folder, f"{folder}/variables.npz")
    with pytest.raises(ModelError, match=rf"^{folder}: the variables are not those of the network: .*{message}"):
        Layout.of(variables, folder).fill(network, variables, folder)
