"""The paper's experiment in small: every method on twins, interrupted and taken up again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import emonet_models.reproducing as reproducing
import emoset
from emonet_models import EmoNet
from emonet_models.cli import app
from emonet_models.reproducing import METHODS, reproduce
from emonet_models.settings import Settings
from emoset.errors import BenchmarkError, ModelError, UnknownNameError

TINY: dict[str, Any] = {"preset": "quick", "filters": 1, "blocks": 1, "epochs": 1, "steps": 2, "sources": ("urdu",)}
pytestmark = pytest.mark.filterwarnings("ignore:.*SYNTHETIC")


@pytest.fixture(scope="module")
def out(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper")
    reproduce(["emodb", "urdu", "tess"], data_dir, folder, **TINY)
    return folder


def test_every_method_meets_every_corpus(out: Path, data_dir: Path) -> None:
    found = reproduce(["emodb", "urdu", "tess"], data_dir, out, **TINY)
    assert {method: sorted(scores) for method, scores in found.comparison.scores.items()} == {
        method: ["emodb", "urdu"] if method in ("single", "multi") else ["emodb"] for method in METHODS
    }
    for method, scores in found.comparison.scores.items():
        for score in scores.values():
            assert 0 <= score.interval.low <= score.uar[0] <= score.interval.high <= 1
            assert (score.p is None) == (method == "single")
    text = (out / "comparison.md").read_text()
    assert "SYNTHETIC, no real speech: emodb, urdu" in text
    assert "Not built: tess." in text
    assert "| urdu | " in text
    assert text.count("| absent ") == 3
    assert "Source of the transfer to emodb: urdu." in text


def test_each_corpus_takes_the_first_source_that_is_another(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = {}
    true_train = reproducing.train

    def noted(settings: Settings, corpora: Any, **options: Any) -> Any:
        if settings.mode == "finetune":
            started[next(iter(corpora))] = options["start"].name
        return true_train(settings, corpora, **options)

    monkeypatch.setattr(reproducing, "train", noted)
    found = reproduce(["emodb", "urdu"], data_dir, tmp_path, **{**TINY, "sources": ()})
    assert started == found.sources == {"emodb": "urdu", "urdu": "emodb"}
    assert all(len(scores) == 2 for scores in found.comparison.scores.values())


def test_what_is_done_is_not_done_again(out: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (out / "comparison.md").read_text()
    (out / "seed0" / "adapters" / "emodb-from-urdu" / "results-emodb.json").unlink()
    trained = []
    true_train = reproducing.train

    def noted(*args: Any, **options: Any) -> Any:
        trained.append(options["out"].relative_to(out).as_posix())
        return true_train(*args, **options)

    monkeypatch.setattr(reproducing, "train", noted)
    reproduce(["emodb", "urdu", "tess"], data_dir, out, **TINY)
    assert trained == ["seed0/adapters/emodb-from-urdu"]
    assert (out / "comparison.md").read_text() == before


def test_corpora_without_a_test_split_are_in_the_training_of_multi_only(
    out: Path, data_dir: Path, tmp_path: Path
) -> None:
    emoset.twin("emotiw2014", tmp_path / "raw", scale=0.01)
    emoset.build("emotiw2014", tmp_path / "raw", tmp_path / "data", progress=False)
    for name in ("emodb", "urdu"):
        (tmp_path / "data" / name).symlink_to(data_dir / name)
    shutil.copytree(out, tmp_path / "out", ignore=shutil.ignore_patterns("multi"))
    found = reproduce(["emodb", "emotiw2014", "urdu", "tess"], tmp_path / "data", tmp_path / "out", **TINY)
    assert (found.untested, found.absent) == (("emotiw2014",), ("tess",))
    scores = found.comparison.scores
    assert list(scores["single"]) == list(scores["multi"]) == ["emodb", "urdu"]
    model = tmp_path / "out" / "seed0" / "multi" / "all"
    assert set(EmoNet.from_pretrained(model).corpora) == {"emodb", "urdu", "emotiw2014"}
    assert {path.name for path in model.glob("results-*")} == {"results-emodb.json", "results-urdu.json"}
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert "Without a test split, hence in the training of multi only: emotiw2014." in text


def test_other_settings_do_not_mix_with_what_is_there(out: Path, data_dir: Path) -> None:
    with pytest.raises(ModelError, match=r"single/emodb: a training of other settings or data is there"):
        reproduce(["emodb", "urdu"], data_dir, out, **{**TINY, "batch": 4})


def test_other_data_do_not_mix_with_what_is_there(out: Path, data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "out")
    config = tmp_path / "out" / "seed0" / "single" / "urdu" / "config.json"
    told = json.loads(config.read_text())
    told["data"]["urdu"]["split_hash"] = "of another split"
    config.write_text(json.dumps(told))
    with pytest.raises(ModelError, match=r"single/urdu: a training of other settings or data is there"):
        reproduce(["emodb", "urdu"], data_dir, tmp_path / "out", **TINY)


def test_damaged_results_are_named(out: Path, data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "out")
    (tmp_path / "out" / "seed0" / "multi" / "all" / "results-urdu.json").write_text("{")
    with pytest.raises(BenchmarkError, match=r"results-urdu\.json: Invalid JSON"):
        reproduce(["emodb", "urdu"], data_dir, tmp_path / "out", **TINY)


def test_too_little_and_unknown_names_are_refused(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"1 of 2 corpora are built; expected at least two"):
        reproduce(["emodb", "tess"], data_dir, tmp_path, **{**TINY, "sources": ()})
    with pytest.raises(UnknownNameError, match=r"unknown corpus 'emodbb'"):
        reproduce(["emodb", "urdu", "emodbb"], data_dir, tmp_path, **TINY)
    with pytest.raises(UnknownNameError, match=r"unknown source 'urd'"):
        reproduce(["emodb", "urdu"], data_dir, tmp_path, **{**TINY, "sources": ("urdu", "urd")})


def test_the_command_prints_the_table(out: Path, data_dir: Path) -> None:
    options = ["--collection", "emodb,urdu", "--data", str(data_dir), "--out", str(out), "--preset", "quick", "--quiet"]
    given = [f"{name}={value}" for name, value in TINY.items() if name not in ("preset", "sources")]
    run = CliRunner().invoke(
        app, ["reproduce", *options, "--source", "urdu", *(part for text in given for part in ("--set", text))]
    )
    assert run.exit_code == 0, run.exception
    refused = CliRunner().invoke(app, ["reproduce", *options, "--set", "seeds=2"])
    assert isinstance(refused.exception, UnknownNameError)
    assert "| corpus | single | multi | finetune | last-layer | adapters |" in run.stdout
    assert {path.name for path in out.glob("seed0/multi/all/results-*")} == {"results-emodb.json", "results-urdu.json"}
