from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import emonet_models.loop
import emonet_models.state
import emonet_models.weights
import emoset.staging
from emonet_models import Settings, load, train
from emonet_models.state import STATE
from emonet_models.training import CorpusData
from emonet_models.weights import packed, read_tensors
from emoset.errors import ModelError

SMALL: dict[str, Any] = {"filters": 2, "blocks": 1, "epochs": 3, "batch": 4, "dropout": (0.1, 0.2)}
SETTINGS = {
    "adapters": Settings(**SMALL, mode="adapters", average=0.7, augment="noise", input_noise=0.1, accumulate=2),
    "stages": Settings(
        **SMALL, optimizer="sgd", schedule="three-stages", decay_by_size=True, average=0.0, patience=1, min_delta=0.0,
        weight_decay=1e-4, learning_rate=0.02,
    ),
}  # fmt: skip


def corpora() -> dict[str, CorpusData]:
    rng = np.random.default_rng(0)
    pairs = [((0.1 * rng.standard_normal(20_000)).astype(np.float32), number % 2) for number in range(13)]
    return {"one": CorpusData(pairs[:9], pairs[9:], ("a", "b")), "two": CorpusData(pairs[2:8], pairs[8:], ("c", "d"))}


def course(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, without times."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in lines]


def same(folder: Path, other: Path) -> None:
    assert course(folder) == course(other)
    for name in ("weights.safetensors", "last.safetensors"):
        found, wanted = load_file(folder / name), load_file(other / name)
        assert list(found) == list(wanted)
        for key, value in wanted.items():
            assert torch.equal(found[key], value), f"{name}: {key}"
    assert load(folder)[1].result["epoch"] == load(other)[1].result["epoch"]


def told(folder: Path) -> dict[str, Any]:
    """What the state tells of itself."""
    return {name: json.loads(text) for name, text in read_tensors(folder / STATE)[1].items()}


@pytest.fixture(scope="module", params=list(SETTINGS))
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(SETTINGS[request.param], corpora(), out=folder)
    return SETTINGS[request.param], folder


SCRIPT = """
    import sys
    import torch
    sys.path.insert(0, {folder!r})
    from test_resume import SETTINGS, corpora
    from emonet_models import train
    torch.set_num_threads(1)
    train(SETTINGS[{which!r}], corpora(), out={out!r})
"""


@pytest.mark.parametrize("which", list(SETTINGS))
def test_killed_while_it_trains(which: str, tmp_path: Path) -> None:
    settings, out = SETTINGS[which].model_copy(update={"epochs": 8, "patience": None}), tmp_path / "killed"
    train(settings, corpora(), out=tmp_path / "whole")
    code = textwrap.dedent(SCRIPT).format(folder=str(Path(__file__).parent), which=which, out=str(out))
    code = code.replace(
        f"SETTINGS[{which!r}]", f"SETTINGS[{which!r}].model_copy(update={{'epochs': 8, 'patience': None}})"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        limit = time.monotonic() + 60
        while time.monotonic() < limit and process.poll() is None and not (out / STATE).exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done = len(told(out)["course"]["epochs"])
    assert 0 < done < len(course(tmp_path / "whole"))
    reported = []
    train(settings, corpora(), out=out, resume=True, report=reported.append)
    assert reported[0].epoch == done + 1
    same(out, tmp_path / "whole")


DEAD = 2**22 + 1
"""A process that is not there: numbers end before."""


class Killed(BaseException):
    """As if there were no next instruction."""


def test_cut_off_before_any_write(
    undisturbed: tuple[Settings, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, wanted = undisturbed
    own = emoset.staging.write_whole
    writes: list[str] = []

    def patch(last: int) -> None:
        def write(path: Path, content: bytes) -> None:
            if len(writes) == last:
                # What a killed process leaves of a file.
                left = own(path.with_name("left"), content[: len(content) // 2])
                left.rename(path.with_name(f".emoset-part.{emoset.staging._machine()}.{DEAD}.{'0' * 32}.{path.name}"))
                raise Killed
            writes.append(path.name)
            own(path, content)

        for module in (emonet_models.weights, emonet_models.loop, emonet_models.state):
            monkeypatch.setattr(module, "write_whole", write)

    # Five files an epoch with a better one, so these are all places in it, and some in later epochs.
    for last in (*range(6), 12):
        out = tmp_path / str(last)
        writes.clear()
        patch(last)
        with pytest.raises(Killed):
            train(settings, corpora(), out=out)
        writes.clear()
        patch(-1)
        train(settings, corpora(), out=out, resume=True)
        same(out, wanted)
        assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


def test_a_finished_training_is_not_run_again(undisturbed: tuple[Settings, Path]) -> None:
    settings, folder = undisturbed
    reported = []
    result = train(settings, corpora(), out=folder, resume=True, report=reported.append)
    assert reported == []
    assert [epoch.epoch for epoch in result.epochs] == [line["epoch"] for line in course(folder)]
    same(folder, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"state.safetensors: the state is that of another training: settings: seed 0; expected 1"),
        ({"epochs": 9}, r"settings: epochs 3; expected 9. To do: give what it was begun with, or train from the begin"),
    ],
)
def test_a_state_of_other_settings(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    settings = SETTINGS["stages"].model_copy(update={"steps": 1})
    train(settings, corpora(), out=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ModelError, match=message):
        train(settings.model_copy(update=change), corpora(), out=tmp_path, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_states_that_do_not_fit_or_are_damaged(tmp_path: Path) -> None:
    settings = SETTINGS["adapters"].model_copy(update={"epochs": 1})
    own = corpora()
    train(settings, own, out=tmp_path)

    def refused(data: dict[str, CorpusData], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            train(settings, data, out=tmp_path, resume=True)

    one = own["one"]
    wave, label = one.train[0]
    louder = [((wave * 1.001).astype(np.float32), label), *one.train[1:]]
    refused({**own, "one": CorpusData(louder, one.validation, one.classes)}, r"another training: data: one \{")
    renamed = CorpusData(one.train, one.validation, ("a", "z"))
    refused({**own, "one": renamed}, r'another training: classes: one \["a", "b"\]; expected \["a", "z"\]')
    refused({"two": own["two"], "one": own["one"]}, r'corpora \["one", "two"\]; expected \["two", "one"\]')

    path = tmp_path / STATE
    good, header = read_tensors(path)[1], told(tmp_path)
    content = path.read_bytes()
    for changes, message in (
        ({"course": "{"}, "the state is damaged. To do: train from the beginning"),
        ({"course": "[]"}, "the state is damaged"),
        ({"identity": "5"}, "the state is damaged"),
        ({"identity": "[" * 100_000}, "the state is damaged"),
        ({"identity": json.dumps({**header["identity"], "format": 99})}, "another training: format 99; expected 2"),
        ({"course": json.dumps({**header["course"], "epochs": []})}, "the state is damaged"),
        ({"course": json.dumps({**header["course"], "stage": "x"})}, "the state is damaged"),
    ):
        path.write_bytes(packed(read_tensors(path)[0], {**good, **changes}))
        refused(own, rf"state\.safetensors: .*{message}")
    values = read_tensors(path)[0]
    moment = next(name for name in values if name.startswith("exp_avg/"))
    for group in ("network/", "best/", "judged/"):
        path.write_bytes(packed({name: v for name, v in values.items() if not name.startswith(group)}, good))
        refused(own, r"the weights are of another configuration: no .*; expected \d+ tensors")
    for bad in ({"exp_avg/nothing": torch.zeros(1)}, {moment: torch.zeros(3, 2, 1)}):
        path.write_bytes(packed({**values, **bad}, good))
        refused(own, r"the state is damaged \(exp_avg of .*\); expected moments of what learns\. To do: train from")
    path.write_bytes(packed(values))
    refused(own, r"state\.safetensors: the state is damaged")
    path.write_bytes(content[:-100])
    refused(own, r"state\.safetensors: the file is damaged or cut short")


def test_a_start_that_has_changed(tmp_path: Path) -> None:
    settings = Settings(**SMALL, mode="adapters", steps=1)
    data = {"one": corpora()["one"]}
    train(settings, data, out=tmp_path / "start")
    train(settings, data, out=tmp_path / "more", start=tmp_path / "start")
    train(settings.model_copy(update={"seed": 3}), data, out=tmp_path / "start")
    with pytest.raises(ModelError, match=r'another training: start "[0-9a-f]{16}"; expected "[0-9a-f]{16}"'):
        train(settings, data, out=tmp_path / "more", start=tmp_path / "start", resume=True)


def test_without_a_state_it_begins_and_anew_it_begins_too(tmp_path: Path) -> None:
    settings = SETTINGS["stages"].model_copy(update={"steps": 1})
    with pytest.raises(ModelError, match="resume without a folder; expected out="):
        train(settings, corpora(), resume=True)
    first = train(settings, corpora(), out=tmp_path, resume=True)
    left = tmp_path / f".emoset-part.{emoset.staging._machine()}.{DEAD}.{'a' * 32}.config.json"
    left.write_bytes(b"half")
    again = train(settings.model_copy(update={"seed": 1}), corpora(), out=tmp_path)
    assert first.epochs[0].epoch == again.epochs[0].epoch == 1
    assert len(course(tmp_path)) == len(again.epochs)
    assert not left.exists()


def test_time_that_was_spent_counts(tmp_path: Path) -> None:
    settings = Settings(**{**SMALL, "epochs": 2}, average=0.0)

    def stop(epoch: Any) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(settings, corpora(), out=tmp_path, report=stop)
    values, header = read_tensors(tmp_path / STATE)
    course = told(tmp_path)["course"]
    course["epochs"][0]["seconds"], course["epochs"][0]["cpu_seconds"] = 1000, 2000
    (tmp_path / STATE).write_bytes(packed(values, {**header, "course": json.dumps(course)}))
    last = train(settings, corpora(), out=tmp_path, resume=True).epochs[-1]
    assert (last.epoch, last.seconds > 1000, last.cpu_seconds > 2000) == (2, True, True)


def test_nothing_pickled_is_written(undisturbed: tuple[Settings, Path]) -> None:
    names = {path.suffix for path in undisturbed[1].iterdir() if ".tfevents." not in path.name}
    assert names == {".json", ".jsonl", ".safetensors", ".png"}
