from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import emonet_models
import emoset
from emonet_models import Baseline, Settings, predict_probabilities, save, train
from emonet_models.cli import app
from emonet_models.weights import Config, tensors
from emoset.benchmarking.metrics import uar
from emoset.errors import EmosetError, ModelError, UnknownNameError

TINY = {"filters": 4, "blocks": 1, "epochs": 2, "batch": 8}

pytestmark = pytest.mark.filterwarnings("ignore:.*SYNTHETIC")


@pytest.fixture(scope="module")
def emodb(data_dir: Path):
    parts = emoset.load_dataset("emodb", data_dir=data_dir)
    return parts["train"], parts["validation"], parts["test"].remove_columns("label")


@pytest.fixture(scope="module")
def model_folder(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder made by the command line on twins."""
    folder = tmp_path_factory.mktemp("runs") / "emodb"
    arguments = ["train", "emodb", "--data", str(data_dir), "--out", str(folder), "--epochs", "2", "--seed", "3"]
    settings = ["--set", "filters=4", "--set", "blocks=1", "--set", "batch=8", "--set", "classifier=FCNAttention"]
    result = CliRunner().invoke(app, arguments + settings, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "best epoch" in result.output
    return folder


def test_fit_and_predict(emodb) -> None:
    train_set, validation, test = emodb
    model = Baseline(**TINY)
    assert model.name == "EmoNet ResNet (filters=4, blocks=1, epochs=2, batch=8)"
    assert model.classes == ()
    assert model.fit(train_set, validation) is model
    assert model.classes == tuple(train_set.features["label"].names)
    shares = model.predict_proba(test)
    assert shares.shape == (len(test), len(model.classes))
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    assert model.predict(test) == [model.classes[i] for i in shares.argmax(1)]


def test_the_command_line_and_the_class_agree(emodb, model_folder: Path) -> None:
    train_set, validation, test = emodb
    config = json.loads((model_folder / "config.json").read_text())
    assert (list(config["corpora"]), config["settings"]["seed"], config["settings"]["filters"]) == (["emodb"], 3, 4)
    loaded = Baseline(folder=model_folder).fit(train_set, validation)
    trained = Baseline(**TINY, classifier="FCNAttention", seed=3).fit(train_set, validation)
    np.testing.assert_array_equal(loaded.predict_proba(test), trained.predict_proba(test))
    assert loaded.name == "EmoNet ResNet (emodb)"
    recorded = config["result"]["validation_uar"]
    found = loaded.predict_proba(validation).argmax(1)
    assert uar(validation["label"], found, len(loaded.classes)) == pytest.approx(recorded)


def test_a_model_of_other_classes(emodb, model_folder: Path) -> None:
    import datasets

    train_set, validation, _ = emodb
    names = [*train_set.features["label"].names[:-1], "surprise"]
    renamed = train_set.cast_column("label", datasets.ClassLabel(names=names))
    with pytest.raises(
        ModelError, match=r"surprise not in the model; without sadness\).*expected those of the model: anger"
    ):
        Baseline(folder=model_folder).fit(renamed, validation)
    with pytest.raises(ModelError, match=r"validation set: classes .*expected those of the training set"):
        Baseline(**TINY).fit(renamed, validation)


def test_one_corpus_of_a_model_with_several(emodb, tmp_path: Path) -> None:
    train_set, validation, test = emodb
    names = tuple(train_set.features["label"].names)
    config = Config(Settings(filters=2, mode="adapters"), {"urdu": ("anger", "sadness"), "emodb": names})
    network = config.network()
    save(tmp_path, tensors(network), config)
    model = Baseline(folder=tmp_path, corpus="emodb").fit(train_set, validation)
    assert model.classes == names
    wave = np.asarray(test[0]["audio"]["array"], dtype=np.float32)
    expected = predict_probabilities(network, config.settings, [wave], "emodb")
    np.testing.assert_array_equal(model.predict_proba(test.select([0])), expected)
    with pytest.raises(ModelError, match="no corpus is named; expected one of urdu, emodb"):
        Baseline(folder=tmp_path)
    with pytest.raises(
        UnknownNameError, match=r"unknown corpus 'emo-db'; expected one of emodb, urdu \(nearest: emodb\)"
    ):
        Baseline(folder=tmp_path, corpus="emo-db")
    with pytest.raises(ModelError, match="corpus 'emodb' without a model folder; expected folder= of a trained model"):
        Baseline(corpus="emodb")


def test_misuse(emodb, model_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no trained network yet. To do: call fit, or give folder="):
        Baseline(**TINY).predict(emodb[2])
    with pytest.raises(ModelError, match="settings epochs beside a model folder; expected one or the other"):
        Baseline(folder=model_folder, epochs=3)
    with pytest.raises(UnknownNameError, match=r"unknown setting 'epoch'.*nearest: epochs"):
        Baseline(epoch=3)


def test_the_benchmark_takes_it(data_dir: Path) -> None:
    results = emoset.benchmark(Baseline(**TINY), corpora=["emodb"], data_dir=data_dir, progress=False)
    assert "emodb" in results.to_markdown()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["emodb", "--data", "nowhere"],
            "nowhere: emodb is not built there.*run 'emoset build emodb --out nowhere'",
        ),
        (["emodb", "--preset", "basline"], "unknown preset 'basline'; .*nearest: baseline"),
        (["emodb", "--set", "filters"], "--set 'filters'; expected NAME=VALUE"),
        (["emodb", "--set", "filters=many"], "setting filters is 'many': Input should be a valid integer"),
        (["emodb", "--set", "filter=3"], "unknown setting 'filter'"),
        (["emodb", "--set", "name=3"], "unknown setting 'name'"),
        (["emodb", "--device", "gpu"], "unknown device 'gpu'; expected one of cpu, cuda"),
    ],
)
def test_the_command_refuses(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", *arguments, "--out", str(tmp_path / "run")])
    assert isinstance(result.exception, EmosetError)
    assert re.search(message, str(result.exception)), result.exception
    assert not (tmp_path / "run").exists()


def test_a_gpu_that_is_not_there_is_told_of_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    arguments = ["train", "emodb", "--data", "nowhere", "--out", str(tmp_path / "run"), "--device", "cuda"]
    result = CliRunner().invoke(app, arguments)
    assert "there is no CUDA device; expected a GPU" in str(result.exception)


def test_the_command_reports_without_a_traceback(tmp_path: Path) -> None:
    code = "from emonet_models.cli import main; main()"
    command = [sys.executable, "-c", code, "train", "emodb", "--data", "nowhere", "--out", "run"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere: emodb is not built there; expected the folder emodb/")
    assert "Traceback" not in done.stderr


def test_a_model_is_not_overwritten_unasked(model_folder: Path, data_dir: Path) -> None:
    arguments = ["train", "emodb", "--data", str(data_dir), "--out", str(model_folder), "--quiet", "--epochs", "1"]
    before = (model_folder / "weights.safetensors").read_bytes()
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ModelError)
    assert "a model is already there. To do: name another folder, or add --resume or --overwrite" in str(
        result.exception
    )
    assert (model_folder / "weights.safetensors").read_bytes() == before
    small = ["--set", "filters=1", "--set", "blocks=1"]
    assert CliRunner().invoke(app, [*arguments, *small, "--overwrite"]).exit_code == 0
    assert (model_folder / "weights.safetensors").read_bytes() != before


def test_import_is_lazy() -> None:
    code = "import emonet_models, sys; assert 'torch' not in sys.modules; emonet_models.Settings; dir(emonet_models)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'Basline'"):
        emonet_models.Basline  # noqa: B018


def test_settings_are_frozen_and_pickle() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.filters = 3
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301
    assert train is not None
