"""The core installation alone, in an environment of its own: no torch, no torchcodec, no FFmpeg needed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CORE_VARIABLE = "EMOSET_CORE_PYTHON"

LOADS = """
import importlib.util, json, sys
for name in ("torch", "torchcodec", "torchaudio", "librosa", "sklearn", "matplotlib"):
    assert importlib.util.find_spec(name) is None, name
import numpy, emoset
assert "site-packages" in emoset.__file__, emoset.__file__
splits = emoset.load_dataset("emodb", data_dir=sys.argv[1])
audio = splits["train"][0]["audio"]
assert audio["array"].dtype == numpy.float32 and audio["sampling_rate"] == 16000
print(json.dumps([len(audio["array"]), len(splits["train"]), sorted(r.id for r in emoset.list_corpora())]))
"""

PLAIN = """
import sys
sys.modules["emoset"] = None  # as if it were not installed
import datasets
splits = datasets.load_dataset(sys.argv[1], "emodb")
for split in splits.values():
    split = split.cast_column("audio", datasets.Audio(decode=False))
    row = split[0]
    assert row["audio"]["bytes"][:4] == b"RIFF" and row["audio"]["path"].startswith("wav/")
    assert split.features["label"].dtype == "string"
print({name: len(split) for name, split in splits.items()})
"""


@pytest.fixture(scope="module")
def core() -> str:
    python = os.environ.get(CORE_VARIABLE)
    if python and Path(python).is_file():
        return python
    if os.environ.get("CI"):
        pytest.fail(f"{CORE_VARIABLE} must name a Python with the core alone on CI; it is {python!r}")
    pytest.skip(f"{CORE_VARIABLE} names no Python; run 'make test'")


def _run(python: str, code: str, data: Path, home: Path) -> str:
    # An empty PATH, so that no FFmpeg can be found either.
    environment = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "PATH": str(home), "HOME": str(home)}
    done = subprocess.run([python, "-W", "ignore", "-c", code, str(data)], capture_output=True, text=True, env=environment, cwd=home)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_loads_and_decodes(core: str, data_dir: Path, tmp_path: Path) -> None:
    [samples, rows, corpora] = __import__("json").loads(_run(core, LOADS, data_dir, tmp_path))
    assert samples > 16000
    assert rows > 5
    assert {"cremad", "emodb", "iemocap", "urdu"} <= set(corpora)


def test_plain_datasets_opens_the_same_folder_without_this_package(core: str, data_dir: Path, tmp_path: Path) -> None:
    sizes = _run(core, PLAIN, data_dir, tmp_path)
    assert "'train'" in sizes
    assert "'validation'" in sizes
    assert "'test'" in sizes


def test_it_builds_a_corpus(core: str, raw_twins: Path, tmp_path: Path) -> None:
    code = "import sys, emoset; print(emoset.build('cremad', sys.argv[1], 'data', progress=False))"
    assert "cremad" in _run(core, code, raw_twins, tmp_path)
    assert (tmp_path / "data" / "cremad" / "manifest.json").is_file()


def test_the_model_command_says_what_to_install(core: str, data_dir: Path, tmp_path: Path) -> None:
    command = [
        str(Path(core).parent / "emonet"),
        "train",
        "emodb",
        "--data",
        str(data_dir),
        "--out",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "pip install 'emoset-speech[torch]'" in done.stderr
    assert "Traceback" not in done.stderr
