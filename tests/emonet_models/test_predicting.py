"""Prediction: files of every kind in, probabilities and embeddings out."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from emonet_models import EmoNet, Settings
from emonet_models.cli import app
from emonet_models.network import probabilities
from emonet_models.predicting import audio_files, predict, table
from emonet_models.weights import Config, save, tensors
from emoset.errors import EmosetError, ModelError, UnknownNameError

CLASSES = {"emodb": ("anger", "joy", "neutral"), "urdu": ("angry", "sad")}


@pytest.fixture
def network() -> EmoNet:
    torch.manual_seed(0)
    settings = Settings(mode="adapters", filters=2, blocks=1)
    network = EmoNet(settings, {name: len(classes) for name, classes in CLASSES.items()}).eval()
    network.classes.update(CLASSES)
    return network


@pytest.fixture
def model(network: EmoNet, tmp_path: Path) -> Path:
    save(tmp_path / "model", tensors(network), Config(network.settings, CLASSES))
    return tmp_path / "model"


def _write(path: Path, seconds: float, rate: int = 16_000, channels: int = 1) -> Path:
    samples = np.random.default_rng(len(path.name)).normal(0, 0.1, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate)
    return path


def test_files_of_any_rate_length_and_channel_count(network: EmoNet, tmp_path: Path) -> None:
    files = [
        _write(tmp_path / "a.wav", 0.01), _write(tmp_path / "b.flac", 7.3, 48_000, 2), _write(tmp_path / "c.ogg", 2, 44_100),
        _write(tmp_path / "d.wav", 2.0, 8_000, 4),
    ]  # fmt: skip
    found = list(predict(network, files, "emodb", embeddings=True))
    assert [p.file for p in found] == [str(path) for path in files]
    for prediction in found:
        assert tuple(prediction.probabilities) == CLASSES["emodb"]
        assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-6)
        assert prediction.label in CLASSES["emodb"]
        assert prediction.embedding is not None
        assert prediction.embedding.shape == (network.features,)


def test_probabilities_are_those_of_the_network(network: EmoNet, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.wav", 2.0)
    samples, _ = soundfile.read(path, dtype="float32")
    with torch.inference_mode():
        expected = probabilities(network(torch.from_numpy(samples)[None], "urdu"))[0]
        features = network.embed(network.logmel(torch.from_numpy(samples)[None]), "urdu")[0]
    [found] = predict(network, [path], "urdu", embeddings=True)
    np.testing.assert_allclose(list(found.probabilities.values()), expected, atol=1e-6)
    np.testing.assert_allclose(found.embedding, features, atol=1e-6)


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_judged(network: EmoNet, tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_text("no audio at all")
    files = [_write(tmp_path / "a.wav", 1), tmp_path / "b.wav", _write(tmp_path / "c.wav", 1)]
    first, bad, last = predict(network, files, "emodb", embeddings=True)
    assert first.probabilities
    assert last.probabilities
    assert (bad.probabilities, bad.label, bad.embedding) == ({}, "", None)
    assert "b.wav" in bad.error


def test_a_folder_is_searched_and_what_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    inside = [_write(tmp_path / "in" / name, 0.1) for name in ("b.wav", "a.flac")]
    (tmp_path / "in" / "notes.txt").write_text("")
    assert audio_files([tmp_path]) == sorted(inside)
    assert audio_files([inside[0], tmp_path]) == [inside[0], inside[1]]
    with pytest.raises(ModelError, match=re.escape("none.wav: there is no such file. To do: correct the path")):
        audio_files([tmp_path / "none.wav"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"the folder holds no audio; expected files such as \.wav or \.flac"):
        audio_files([tmp_path / "empty"])


def test_the_corpus_has_to_be_named_where_there_are_several(network: EmoNet) -> None:
    with pytest.raises(ModelError, match=r"no corpus is named; expected one of emodb, urdu"):
        list(predict(network, []))
    with pytest.raises(UnknownNameError, match=r"unknown corpus .urd.*urdu"):
        list(predict(network, [], "urd"))


def test_the_command_writes_csv_and_json(model: Path, tmp_path: Path) -> None:
    _write(tmp_path / "a.wav", 1)
    run = CliRunner().invoke(app, ["predict", str(tmp_path / "a.wav"), "--model", str(model), "--corpus", "urdu"])
    [row] = csv.DictReader(io.StringIO(run.stdout))
    assert (row["file"], row["error"]) == (str(tmp_path / "a.wav"), "")
    assert float(row["angry"]) + float(row["sad"]) == pytest.approx(1, abs=2e-6)
    out = tmp_path / "found.json"
    options = ["--model", str(model), "--corpus", "emodb", "--out", str(out), "--embeddings"]
    assert CliRunner().invoke(app, ["predict", str(tmp_path / "a.wav"), *options]).exit_code == 0
    [told] = json.loads(out.read_text())
    assert set(told["probabilities"]) == set(CLASSES["emodb"])
    assert len(told["embedding"]) == 16


def test_the_command_tells_of_files_that_it_could_not_read(model: Path, tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_text("no audio")
    options = ["--model", str(model), "--corpus", "urdu", "--out", str(tmp_path / "found.csv"), "--quiet"]
    run = CliRunner().invoke(app, ["predict", str(tmp_path / "b.wav"), *options])
    assert isinstance(run.exception, EmosetError)
    assert "1 of 1 files could not be read" in str(run.exception)
    assert "b.wav" in (tmp_path / "found.csv").read_text()
    run = CliRunner().invoke(app, ["predict", str(tmp_path / "b.wav"), "--model", str(model), "--out", "found.txt"])
    assert "a name that ends in .csv or .json" in str(run.exception)


def test_a_table_of_nothing_has_its_header() -> None:
    assert table([], ["a", "b"]) == "file,label,a,b,error\n"
    assert table([], [], as_json=True) == "[]\n"
