"""The house rules that a machine can check: layers, light imports, forbidden calls, no traces of a machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A module imports only from its own layer or from those above it.
LAYERS = [
    ["errors", "schema", "labels", "staging", "progress"],
    ["fetching", "archives", "unpacking", "inflating"],
    ["words", "splits"],
    ["regextree", "patterns", "profiles", "vocaltract", "synthesis", "elements", "containers", "audio"],
    ["parts"],
    ["tree"],
    ["account"],
    ["listing"],
    ["finding"],
    ["speakers"],
    ["utterance"],
    ["reading"],
    ["recipe"],
    ["recipes"],
    ["registry"],
    ["shards"],
    ["slots"],
    ["converting"],
    ["indexing", "stamps"],
    ["decoding", "summary", "casting", "reports", "downloading", "forms", "targets", "augmentation"],
    ["remote", "cards"],
    ["verifying", "comparing", "croissant", "identity"],
    ["building", "opening", "selecting", "loading", "locating", "twins", "publishing", "looking", "exchange"],
    ["samplers", "collating"],
    ["torch", "benchmarking", "checking", "tables"],
    ["cli"],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
MODULES = sorted(
    p
    for p in [*ROOT.glob("emoset/**/*.py"), *ROOT.glob("recipes/*.py")]
    if p.name != "__init__.py" or "benchm" in str(p)
)


def _unit(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return "recipes" if parts[0] == "recipes" else parts[1].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    """Modules imported at run time: those for type checking alone do not count."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_its_layer_or_above(path: Path) -> None:
    unit = _unit(path)
    for module in _imports(path):
        assert not module.startswith("emonet_models")
        if module.startswith("emoset."):
            other = module.split(".")[1]
            allowed = {"recipe"} if unit == "recipes" else {n for n, rank in RANK.items() if rank <= RANK[unit]}
            assert other in allowed, f"{unit} must not import {module}"


def test_models_use_the_library_through_its_torch_face_and_metrics_only() -> None:
    used = {m for p in ROOT.glob("emonet_models/*.py") for m in _imports(p) if m.startswith("emoset")}
    allowed = {
        "emoset",
        "emoset.torch",
        "emoset.audio",
        "emoset.augmentation",
        "emoset.errors",
        "emoset.schema",
        "emoset.progress",
        "emoset.staging",
        "emoset.cli",
    }
    assert {m for m in used if not m.startswith("emoset.benchmarking")} <= allowed


@pytest.mark.parametrize("module", ["emoset", "emoset.errors", "emoset.schema"])
def test_importing_is_light(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'datasets', 'pandas', 'matplotlib'}} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


FORBIDDEN = r"\bpickle\.|\bmarshal\b|\bshelve\b|yaml\.load\(|torch\.load\(|[^\w.]eval\(|[^\w.]exec\(|os\.system|shell=True|extractall\("


@pytest.mark.parametrize("folder", ["emoset", "recipes", "emonet_models", "benchmarks"])
def test_nothing_that_runs_what_it_reads(folder: str) -> None:
    hits = [f"{p.name}: {line}" for p in ROOT.glob(f"{folder}/**/*.py") for line in p.read_text().splitlines()
            if re.search(FORBIDDEN, line)]  # fmt: skip
    assert hits == []


def test_modules_can_be_read_in_a_sitting() -> None:
    long = {str(p.relative_to(ROOT)): n for folder in ("emoset", "recipes", "emonet_models") for p in ROOT.glob(f"{folder}/**/*.py")
            if (n := len(p.read_text().splitlines())) > 500}  # fmt: skip
    assert long == {}


def test_every_public_name_exists() -> None:
    import emoset

    for name in emoset.__all__:
        assert getattr(emoset, name).__doc__
    with pytest.raises(AttributeError, match="module 'emoset' has no attribute 'nothing'"):
        emoset.nothing  # noqa: B018
