"""What all tests share: real data where it is, twins, and built folders."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Before anything imports datasets: its cache must be empty, and not the user's.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="emoset-tests-")

import pytest
from hypothesis import settings

import emoset

# The same examples in every run, and no time limit: a busy machine is no reason to fail.
settings.register_profile("emoset", derandomize=True, deadline=None)
settings.load_profile("emoset")

SHARED_VARIABLE = "EMOSET_SHARED"
CORPORA = ("emodb", "urdu", "cremad", "iemocap")


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder with real corpora, file lists and reference vectors; on CI its absence is a failure."""
    named = os.environ.get(SHARED_VARIABLE)
    if named and Path(named).is_dir():
        return Path(named)
    if os.environ.get("CI"):
        pytest.fail(f"{SHARED_VARIABLE} must name the folder of real data on CI; it is {named!r}")
    pytest.skip(f"{SHARED_VARIABLE} names no folder of real data")


@pytest.fixture(scope="session")
def raw_twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small twin of every corpus of the book. Tests must not change it; see `raw_copy`."""
    folder = tmp_path_factory.mktemp("twins")
    emoset.twin(list(CORPORA), folder, scale=0.02, seed=1, progress=False)
    return folder


@pytest.fixture(scope="session")
def data_dir(raw_twins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The twins built into shards. Tests must not change it."""
    folder = tmp_path_factory.mktemp("data")
    emoset.build([*CORPORA, "iemocap-full"], raw_twins, folder, progress=False)
    return folder


@pytest.fixture(autouse=True)
def _data_for_examples(request: pytest.FixtureRequest) -> None:
    """Examples in docstrings find twins under the name ``raw`` and a built folder under ``data``."""
    if type(request.node).__name__ != "DoctestItem":
        return
    for name, fixture in (("data", "data_dir"), ("raw", "raw_twins")):
        if f"={name}" in request.node.dtest.docstring or f"({name}" in request.node.dtest.docstring:
            request.getfixturevalue("doctest_namespace")[name] = str(request.getfixturevalue(fixture))
