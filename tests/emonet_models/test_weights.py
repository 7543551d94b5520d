from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from emonet_models import EmoNet, Settings, load, save
from emonet_models.weights import Config, fill, packed, read_tensors, tensors
from emoset.errors import ModelError

SETTINGS = Settings(filters=2, blocks=1, mode="adapters", classifier="FCNAttention")
CORPORA = {"emodb": ("anger", "joy", "neutral"), "v1.2 ü/x": ("no", "yes")}
CONFIG = Config(SETTINGS, CORPORA, {"emodb": {"version": "1.0.0"}}, {"epoch": 3})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save(tmp_path, tensors(CONFIG.network()), CONFIG)
    return tmp_path


def test_round_trip(folder: Path) -> None:
    network, config = load(folder)
    assert config == CONFIG
    assert list(network.corpora.items()) == [("emodb", 3), ("v1.2 ü/x", 2)]
    assert not network.training
    torch.manual_seed(0)
    for name, value in tensors(CONFIG.network()).items():
        assert torch.equal(value, tensors(network)[name])


def test_from_pretrained(folder: Path) -> None:
    network = EmoNet.from_pretrained(folder)
    assert network.classes == CORPORA
    assert not network.training
    audio = torch.randn(2, 32_000)
    assert torch.equal(network(audio, "emodb"), load(str(folder))[0](audio, "emodb"))


def test_reused_batch_norms_are_remembered(tmp_path: Path) -> None:
    config = Config(SETTINGS, CORPORA, reuse_batchnorm=("emodb",))
    network = config.network().eval()
    save(tmp_path, tensors(network), config)
    again = EmoNet.from_pretrained(tmp_path)
    assert again.reused == {"emodb"}
    maps = torch.randn(1, 64, 61)
    assert torch.equal(again.score(maps, "emodb"), network.score(maps, "emodb"))


def test_nothing_is_pickled(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "weights.safetensors"]
    content = (folder / "weights.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert set(header) - {"__metadata__"} == set(tensors(CONFIG.network()))
    assert json.loads(header["__metadata__"]["corpora"]) == {name: list(classes) for name, classes in CORPORA.items()}


def edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text())
    for key, value in changes.items():
        place, _, name = key.rpartition("__")
        (content[place] if place else content)[name] = value
    path.write_text(json.dumps(content))


OTHER = r"use the config\.json that was saved with these weights"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings__filters": 3}, rf'weights\.safetensors: the weights were saved for network .*"filters": 2.*; expected .*"filters": 3.*{OTHER}'),
        ({"settings__mels": 65}, r'saved for network .*"mels": 64.*expected .*"mels": 65'),
        ({"settings__mode": "scratch"}, r'saved for network {"mode": "adapters".*expected {"mode": "scratch"'),
        ({"settings__classifier": "avgpool"}, r'expected .*"window": 2\.0'),
        ({"corpora": {"emodb": ["anger", "joy"]}}, rf"saved for corpora .*neutral.*; expected .*{OTHER}"),
        ({"corpora__emodb": ["joy", "anger", "neutral"]}, r'saved for corpora {"emodb": \["anger", "joy", "neutral"\].*; expected {"emodb": \["joy", "anger"'),
        ({"corpora": {"urdu": ["anger", "joy", "neutral"], "v1.2 ü/x": ["no", "yes"]}}, r'saved for corpora .*expected {"urdu"'),
        ({"reuse_batchnorm": ["emodb"]}, r'saved for reuse_batchnorm \[\]; expected \["emodb"\]'),
        ({"settings__colour": "red"}, r"config\.json: the file is damaged \(settings\.colour is 'red': Extra inputs are not permitted\).*copy the model"),
        ({"settings__mels": -1}, r"config\.json: the file is damaged \(settings\.mels is -1: Input should be greater than or equal to 8"),
        ({"settings": 5}, r"config\.json: the file is damaged"),
        ({"corpora": 5}, r"config\.json: the file is damaged"),
        ({"corpora": {}}, r"config\.json: the file is damaged \(no corpora; expected at least one"),
        ({"corpora__emodb": ["anger", "anger", "joy"]}, r"emodb: classes \['anger', 'anger', 'joy'\]; expected two or more different names"),
        ({"corpora__emodb": [1, 2, 3]}, r"config\.json: the file is damaged \(corpora\.emodb\.0 is 1: Input should be a valid string\)"),
        ({"reuse_batchnorm": ["urdu"]}, r"config\.json: the file is damaged \(unknown corpus 'urdu'; expected one of emodb, v1\.2"),
        ({"format": 3}, r"saved in format 3; expected format 2\. To do: use the emoset-speech that wrote it, or train again"),
        ({"format": 1}, r"saved in format 1; expected format 2\. To do: use the emoset-speech that wrote it"),
        ({"format": "2"}, r"config\.json: it was saved in format '2'; expected format 2"),
    ],
)  # fmt: skip
def test_config_and_weights_that_do_not_fit(folder: Path, changes: dict[str, object], message: str) -> None:
    edit(folder, **changes)
    with pytest.raises(ModelError, match=message):
        load(folder)


def test_weights_without_a_header(folder: Path) -> None:
    path = folder / "weights.safetensors"
    save_file(read_tensors(path)[0], path)
    with pytest.raises(ModelError, match=r"the weights were saved for format unknown; expected 2"):
        load(folder)


def test_weights_that_lack_a_tensor(folder: Path) -> None:
    kept = tensors(load(folder)[0])
    del kept["pre_conv.conv.weight"]
    kept["surplus"] = torch.zeros(1)
    (folder / "weights.safetensors").write_bytes(packed(kept, CONFIG.header()))
    message = r"another configuration: no pre_conv\.conv\.weight; surplus that the network does not have; expected \d+ tensors"
    with pytest.raises(ModelError, match=message):
        load(folder)
    with pytest.raises(ModelError, match=r"of shape \(2, 1, 3, 3\) where the network has \(4, 1, 3, 3\)"):
        fill(EmoNet(SETTINGS.model_copy(update={"filters": 4}), CONFIG.counts), tensors(CONFIG.network()))


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "{}", "null", '{"format": 2}', "[" * 100_000])
def test_damaged_config(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json: the file is damaged .*To do: copy the model folder again"):
        load(folder)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_weights_cut_short(folder: Path, share: float) -> None:
    path = folder / "weights.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"weights\.safetensors: the file is damaged or cut short .*copy the model"):
        load(folder)


def test_absent_files(folder: Path, tmp_path: Path) -> None:
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors: cannot be read \(No such file or directory\)"):
        load(folder)
    with pytest.raises(ModelError, match=r"config\.json: cannot be read .*expected a folder that 'emonet train' wrote"):
        load(tmp_path / "nowhere")


def test_a_write_that_fails_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / "weights.safetensors").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(folder, tensors(CONFIG.network()), CONFIG)
    assert (folder / "weights.safetensors").read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "weights.safetensors"]
