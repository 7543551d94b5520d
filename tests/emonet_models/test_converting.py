"""The original's HDF5 files: what is read off them, what is refused; and the numbers of the converted networks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from emonet_models import EmoNet, Settings, convert
from emonet_models.converting import Layout
from emonet_models.hdf5 import read_hdf5
from emonet_models.network import probabilities
from emonet_models.weights import tensors
from emoset.errors import ModelError, UnknownNameError

Variables = dict[str, np.ndarray]
FILES: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    ("adapters_fcn/shared_model.h5", {"mels": 64}, {"AD": 2, "EMO-DB": 7, "IEMOCAP": 4}),
    ("adapters_fcn/weights_EMO-DB.h5", {"mels": 64, "window": 3.0}, {"EMO-DB": 7}),
    ("scratch_avgpool/shared_model.h5", {"mels": 128, "window": 2.0}, {"EMO-DB": 7}),
]


@pytest.mark.parametrize(("name", "given", "corpora"), FILES)
@torch.no_grad()
def test_the_reference_files(shared_folder: Path, tmp_path: Path, name, given, corpora) -> None:
    path = shared_folder / "vectors" / name
    network = convert(path, tmp_path / "model", **given)
    assert list(network.corpora.items()) == list(corpora.items())
    assert network.classes == {corpus: tuple(map(str, range(count))) for corpus, count in corpora.items()}
    assert (network.settings.filters, network.settings.blocks, network.settings.input_bn) == (8, 2, False)
    assert network.settings.mode == ("adapters" if "adapters" in name else "scratch")
    assert network.settings.window == given.get("window")
    again = EmoNet.from_pretrained(tmp_path / "model")
    with np.load(path.parent / "vectors.npz", allow_pickle=False) as saved:
        for wave in ("2s", "var") if "adapters" in name else ("2s",):
            audio = torch.from_numpy(saved[f"wave_{wave}"])
            for corpus in corpora:
                expected = saved[f"{wave}/{corpus}/output"]
                found = probabilities(again(audio, corpus))[:, -expected.shape[1] :]
                assert np.abs(found.numpy() - expected).max() < 1e-5


def keras_layer_names(network: EmoNet, heads: dict[str, str], first: int) -> dict[str, tuple[str, str]]:
    """Layer of the network to layer of the original, written down by hand for the tests."""
    made: dict[str, tuple[str, str]] = {}
    units = ["pre_conv"] + [f"blocks.{n}.{part}" for n in range(len(network.blocks)) for part in ("first", "second")]
    owners = {"core": "core"} | {f"own.{corpus.replace('.', '%2E')}": corpus for corpus in network.corpora}
    for number, unit in enumerate(units, first):
        conv = f"conv2d_{number}" if number else "conv2d"
        made[f"{unit}.conv"] = (conv, "dense")
        for own, owner in owners.items():
            made[f"{unit}.norm.{own}"] = (f"{owner}_{conv}_batch_normalization", "norm")
            made[f"{unit}.{own.replace('own', 'adapters')}"] = (f"{owner}_{conv}_adapter", "dense")
    for own, owner in owners.items():
        made[f"input_norm.{own}"] = (f"{owner}_input_batch_normalization", "norm")
        made[f"final_norm.{own}"] = (f"{owner}_final_batch_normalization", "norm")
        made[f"attention.{own}"] = (f"{owner}_2d_attention", "attention")
    for corpus in network.corpora:
        key, head = corpus.replace(".", "%2E"), heads.get(corpus, corpus)
        made[f"heads.{key}.dense"] = (f"{head}_dense", "dense")
        made[f"heads.{key}.norm"] = (f"{head}_dense_batchnorm", "norm")
        made[f"heads.{key}.output"] = (head, "dense")
    return made


def keras_variables(network: EmoNet, heads: dict[str, str] | None = None, first: int = 0) -> Variables:
    """What the original would have saved for a network; convolutions are numbered from `first` on."""
    layers = keras_layer_names(network, heads or {}, first)
    parts = {
        "dense": {"weight": "kernel", "bias": "bias"},
        "norm": {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"},
        "attention": {"W": "W", "b": "b", "u": "u"},
    }
    made = {}
    for name, tensor in tensors(network).items():
        layer, _, part = name.rpartition(".")
        keras, kind = layers[layer]
        value = tensor.detach().numpy()
        if kind == "dense":
            value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
        made[f"{keras}/{parts[kind][part]}:0"] = value
    return made


def write(path: Path, variables: Variables, *, order: bool = True) -> Path:
    """A file as `model.save` leaves it; layers without variables and a training state are in it too."""
    with h5py.File(path, "w") as file:
        weights = file.create_group("model_weights")
        layers = ["input_1", "trainable_stft", *dict.fromkeys(name.split("/")[0] for name in variables), "activation"]
        if order:
            half = len(layers) // 2
            weights.attrs["layer_names0"] = [name.encode() for name in layers[:half]]
            weights.attrs["layer_names1"] = [name.encode() for name in layers[half:]]
        for layer in layers:
            weights.create_group(layer)
        for name, value in variables.items():
            weights[f"{name.split('/')[0]}/{name}"] = value
        file.create_group("optimizer_weights")
        file.attrs["keras_version"] = "2.5.0"
    return path


def made(corpora: dict[str, int], reuse: tuple[str, ...] = (), **choices: Any) -> EmoNet:
    settings = Settings(**{"filters": 2, "blocks": 1, "mode": "adapters", "classifier": "FCNAttention", **choices})
    network = EmoNet(settings, corpora, reuse_batchnorm=reuse).eval()
    for name, value in tensors(network).items():
        if value.ndim == 1:
            value.uniform_(0.5, 1.5)
        assert name
    return network


def same(found: EmoNet, network: EmoNet) -> bool:
    assert found.corpora == network.corpora
    assert list(found.corpora) == list(network.corpora)
    return all(torch.equal(tensors(found)[name], value) for name, value in tensors(network).items())


ODD = {"dense-corpus": 3, "core": 2, "add": 5, "v1.2": 4, "dropout": 3, "x_1": 4}


@pytest.mark.parametrize(
    ("corpora", "choices"),
    [
        (ODD, {}),
        (ODD, {"input_bn": False, "blocks": 2, "filters": 3}),
        (ODD, {"share_attention": True}),
        ({"core": 3}, {}),
        (ODD, {"mode": "scratch"}),
        (ODD, {"classifier": "avgpool", "window": 5.0}),
        ({"x_1": 3}, {"classifier": "avgpool", "mode": "scratch", "input_bn": False}),
    ],
)
@pytest.mark.parametrize("first", [0, 13])
def test_corpora_and_settings_are_read_off_the_layers(tmp_path: Path, corpora, choices, first: int) -> None:
    network = made(corpora, **choices)
    path = write(tmp_path / "model.h5", keras_variables(network, first=first))
    found = convert(path, tmp_path / "model", mels=64, window=network.settings.window)
    assert same(found, network)
    for name in ("mode", "share_attention", "filters", "blocks", "classifier", "input_bn"):
        assert getattr(found.settings, name) == getattr(network.settings, name), name
    audio = torch.randn(1, network.settings.window_samples)
    assert all(torch.equal(found(audio, corpus), network(audio, corpus)) for corpus in corpora)


def test_reused_batch_norms(tmp_path: Path) -> None:
    network = made({"EMO-DB": 7, "new": 3}, reuse=("EMO-DB", "new"))
    found = convert(write(tmp_path / "a.h5", keras_variables(network)), tmp_path / "model", mels=64)
    assert same(found, network)
    assert found.reused == EmoNet.from_pretrained(tmp_path / "model").reused == {"EMO-DB", "new"}


def test_heads_of_base_tasks_with_initial_weights(tmp_path: Path) -> None:
    """With avgpool and initial weights the original calls the head of the base task X "X_1"; its adapters tell X."""
    network = made({"X": 3, "new": 4, "Y_1": 5}, classifier="avgpool", window=2.0)
    variables = keras_variables(network, {"X": "X_1"})
    assert {"X_1/kernel:0", "X_1_dense/kernel:0", "X_1_dense_batchnorm/gamma:0"} <= set(variables)
    found = convert(write(tmp_path / "a.h5", variables), tmp_path / "model", mels=64, window=2.0)
    assert same(found, network)


def test_names_of_classes(tmp_path: Path) -> None:
    network = made({"EMO-DB": 3, "Urdu": 2})
    path = write(tmp_path / "a.h5", keras_variables(network))
    classes = {"Urdu": ["bad", "good"]}
    found = convert(path, tmp_path / "model", mels=80, classes=classes)
    assert found.classes == {"EMO-DB": ("0", "1", "2"), "Urdu": ("bad", "good")}
    assert (found.settings.mels, found.settings.filters, found.settings.factor) == (80, 2, 1)
    assert torch.equal(found.heads["EMO-DB"].dense.weight, network.heads["EMO-DB"].dense.weight)
    assert torch.equal(found.blocks[2].second.adapters["Urdu"].weight, network.blocks[2].second.adapters["Urdu"].weight)
    with pytest.raises(ModelError, match=r"model: a model is already there\. To do: .*--overwrite"):
        convert(path, tmp_path / "model", mels=64)
    convert(path, tmp_path / "model", mels=64, overwrite=True)


def test_layers_without_a_list_of_their_order(tmp_path: Path) -> None:
    network = made({"b": 3, "a": 4})
    path = write(tmp_path / "a.h5", keras_variables(network), order=False)
    assert list(convert(path, tmp_path / "model", mels=64).corpora) == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"mels": 1}, ModelError, r"setting mels is 1"),
        ({"classes": {"urdu": ["a", "b"]}}, UnknownNameError, r"unknown corpus 'urdu'; expected one of EMO-DB, Urdu"),
        ({"classes": {"Urdu": ["a", "b", "c"]}}, ModelError, r"2 outputs of Urdu, and classes a, b, c; expected a name for each"),
        ({"classes": {"Urdu": ["a", "a"]}}, ModelError, r"Urdu: classes \['a', 'a'\]; expected two or more different names"),
    ],
)  # fmt: skip
def test_what_contradicts_the_file(tmp_path: Path, given: dict[str, Any], error, message: str) -> None:
    path = write(tmp_path / "a.h5", keras_variables(made({"EMO-DB": 3, "Urdu": 2})))
    with pytest.raises(error, match=message):
        convert(path, tmp_path / "model", **{"mels": 64, **given})
    assert not (tmp_path / "model").exists()


def test_mels_and_window_must_give_the_positions_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", keras_variables(made({"a": 3}, classifier="avgpool", window=5.0, mode="scratch")))
    assert convert(path, tmp_path / "model", mels=64, window=5.0).features == 32
    assert convert(path, tmp_path / "128", mels=128, window=2.0).settings.mode == "scratch"
    message = r"the heads take 32 values; expected 64 by mels 128 and window 5\.0\. To do: give those of the training"
    with pytest.raises(ModelError, match=message):
        convert(path, tmp_path / "other", mels=128, window=5.0)
    with pytest.raises(ModelError, match=r"classifier avgpool needs a fixed window"):
        convert(path, tmp_path / "other", mels=64)


def without(name: str) -> Callable[[Variables], None]:
    return lambda variables: variables.__delitem__(name)


def put(name: str, value: np.ndarray) -> Callable[[Variables], None]:
    return lambda variables: variables.update({name: value.astype(np.float32)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("a_conv2d_3_adapter/kernel:0"), r"no a_conv2d_3_adapter/kernel:0; expected \d+ variables"),
        (without("b_final_batch_normalization/gamma:0"), r"no b_final_batch_normalization/gamma:0"),
        (without("b_2d_attention/u:0"), r"no b_2d_attention/u:0"),
        (without("conv2d_3/kernel:0"), r"6 convolutions of 3x3; expected 7, 13, 19"),
        (without("b_conv2d_adapter/kernel:0"), r"no b_conv2d_adapter/kernel:0; expected \d+ variables"),
        (without("b/bias:0"), r"b/kernel:0 that the network does not have"),
        (put("core_conv2d_batch_normalization/gamma:0", np.ones(2)), r"core_conv2d_batch_normalization/gamma:0 that the network"),
        (put("lstm/kernel:0", np.zeros((2, 2))), r"lstm/kernel:0 that the network does not have"),
        (put("c_dense/kernel:0", np.zeros((2, 2))), r"c_dense/kernel:0 that the network does not have"),
        (put("conv2d_3/kernel:0", np.zeros((3, 3, 8, 9))), r"conv2d_3/kernel:0 of shape \(3, 3, 8, 9\) where the network has"),
        (put("conv2d/kernel:0", np.zeros((3, 3, 1, 100_000))), r"of shape \(3, 3, 1, 100000\)|the heads take 16 values; expected 800000"),
        (put("b/kernel:0", np.zeros((7, 3))), r"b/kernel:0 of shape \(7, 3\) where the network has \(8, 3\)"),
        (put("a_dense/kernel:0", np.zeros((9, 8))), r"the heads take 9 values; expected 16"),
        (put("a_dense/bias:0", np.full(8, np.nan)), r"a_dense/bias:0 with values that are no numbers"),
        (put("a_dense_batchnorm/moving_variance:0", np.full(8, -1.0)), r"moving_variance:0 with values that are no numbers, or negative variances"),
    ],
)  # fmt: skip
def test_what_cannot_be_proved_is_refused(tmp_path: Path, change: Callable[[Variables], None], message: str) -> None:
    variables = keras_variables(made({"a": 4, "b": 3}))
    change(variables)
    path = write(tmp_path / "a.h5", variables)
    with pytest.raises(ModelError, match=rf"a\.h5: .*{message}"):
        convert(path, tmp_path / "model", mels=64)
    assert not (tmp_path / "model").exists()


def test_a_corpus_named_core_beside_one_without_batch_norms() -> None:
    network = made({"core": 3, "b": 4}, reuse=("b",))
    variables = keras_variables(network)
    layout = Layout.of(variables, "file")
    assert (layout.classes, layout.reused) == (network.corpora, ("b",))
    with pytest.raises(ModelError, match=r"file: one name for two layers, as where a corpus named 'core'"):
        layout.fill(network, variables, "file")


def test_files_without_a_network(tmp_path: Path) -> None:
    variables = keras_variables(made({"a": 4}))
    heads = {name: value for name, value in variables.items() if name.startswith(("a/", "a_dense"))}
    with pytest.raises(ModelError, match="0 convolutions of 3x3; expected 7, 13, 19 and so on, named conv2d"):
        convert(write(tmp_path / "a.h5", heads), tmp_path / "model", mels=64)
    body = {name: value for name, value in variables.items() if name not in heads}
    with pytest.raises(ModelError, match=r"no output layer .*; expected <corpus>_dense, <corpus>_dense_batchnorm and"):
        convert(write(tmp_path / "b.h5", body), tmp_path / "model", mels=64)


def damage_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def damage_text(path: Path) -> None:
    path.write_text("no HDF5")


def damage_absent(path: Path) -> None:
    path.unlink()


def edit(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def external(file: Any) -> None:
    del file["model_weights/a/a/bias:0"]
    file["model_weights/a/a/bias:0"] = h5py.ExternalLink("other.h5", "secret")


def external_group(file: Any) -> None:
    del file["model_weights/a"]
    file["model_weights/a"] = h5py.SoftLink("/model_weights/conv2d")


def external_storage(file: Any) -> None:
    del file["model_weights/a/a/bias:0"]
    file["model_weights/a/a"].create_dataset("bias:0", (4,), "f4", external=[("secret.bin", 0, 16)])


def unwritten(file: Any) -> None:
    del file["model_weights/a/a/bias:0"]
    file["model_weights/a/a"].create_dataset("bias:0", (10**9,), "f4", chunks=(1000,))


def text(file: Any) -> None:
    del file["model_weights/a/a/bias:0"]
    file["model_weights/a/a/bias:0"] = "text"


PLAIN = r"is no plain array of floating-point numbers; expected a model file of Keras"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_cut, r"cannot be read \(no HDF5 file, or damaged or cut short\)\. To do: copy the file again"),
        (damage_text, r"cannot be read \(no HDF5 file"),
        (damage_absent, r"cannot be read \(No such file or directory\)"),
        (
            edit(lambda file: file.move("model_weights", "weights")),
            r"weights in the file; expected a model file of Keras",
        ),
        (edit(lambda file: file.pop("model_weights")), r"no model_weights in the file"),
        (edit(lambda file: file.create_group("extra")), r"extra in the file"),
        (edit(lambda file: file["model_weights/a"].create_group("b")), r"model_weights/a/b in the file"),
        (edit(lambda file: file["model_weights/a/a"].create_group("b")), rf"a/b {PLAIN}"),
        (edit(external), r"a/bias:0 is a link"),
        (edit(external_group), r"model_weights/a is a link"),
        (edit(external_storage), rf"a/bias:0 {PLAIN}"),
        (edit(unwritten), rf"a/bias:0 {PLAIN}"),
        (edit(text), rf"a/bias:0 {PLAIN}"),
    ],
)
def test_hostile_and_damaged_files(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    path = write(tmp_path / "a.h5", keras_variables(made({"a": 4})))
    damage(path)
    with pytest.raises(ModelError, match=rf"a\.h5: .*{message}"):
        convert(path, tmp_path / "model", mels=64)
    assert not (tmp_path / "model").exists()


def test_whatever_is_damaged_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", keras_variables(made({"a": 4})))
    whole, rng, read = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(0, 3000, 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        with suppress(ModelError):
            read_hdf5(path)
            read += 1
    assert 0 < read < 50


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModelError, match=r"h5py is not installed\. To do: pip install 'emoset-speech\[convert\]'"):
        read_hdf5(tmp_path / "a.h5")


def test_variables_fill_a_network_in_place() -> None:
    network = made(ODD)
    variables = keras_variables(network)
    other = EmoNet(network.settings, ODD)
    layout = Layout.of(variables, "file")
    layout.fill(other, variables, "file")
    assert same(other, network)
    with pytest.raises(ModelError, match=r"file: .*surplus/kernel:0 that the network does not have"):
        layout.fill(other, {**variables, "surplus/kernel:0": np.zeros(3)}, "file")
    del variables["conv2d_3/kernel:0"]
    with pytest.raises(ModelError, match="file: 6 convolutions of 3x3; expected 7"):
        Layout.of(variables, "file")
