# Everything runs in .venv, which is made on first use; torch comes in the version that constraints.txt pins.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := .venv-core
OLDEST := .venv-oldest
DEMO := demo

.PHONY: demo test docs campaign format install core clean

# The stamps are files, so that an installation is repeated only when what it depends on changed.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# The core alone, as a wheel: no torch, no torchcodec, no FFmpeg. Tests use it to prove what needs none of them.
$(CORE)/installed: pyproject.toml constraints.txt $(wildcard emoset/*.py emoset/*/* recipes/*.py corpora/*/*)
	$(PYTHON) -m venv $(CORE)
	$(CORE)/bin/python -m pip install --quiet --upgrade pip
	$(CORE)/bin/python -m pip install --quiet --constraint constraints.txt .
	touch $@

# The oldest versions that pyproject.toml allows, for what leans on them most: loading.
$(OLDEST)/installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade pip
	$(OLDEST)/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable . pytest pytest-xdist hypothesis
	touch $@

install: $(VENV)/installed

core: $(CORE)/installed

## make demo: twins of three corpora -> shards -> load -> train -> benchmark, with a table and pictures
demo: $(VENV)/installed
	$(BIN)/python docs/examples/demo.py $(DEMO)

## make test: formatting, lint, types, tests, and loading with the oldest versions allowed
test: $(VENV)/installed $(CORE)/installed $(OLDEST)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy emoset recipes emonet_models
	EMOSET_CORE_PYTHON=$(CURDIR)/$(CORE)/bin/python $(BIN)/python -m pytest --numprocesses 2 --dist loadgroup
	$(OLDEST)/bin/python -m pytest --numprocesses 2 -p no:cacheprovider tests/test_loading.py emoset/loading.py emoset/decoding.py

## make docs: the tables that are made from the recipes
docs: $(VENV)/installed
	$(BIN)/python -c 'from pathlib import Path; from emoset.tables import write_tables; write_tables(Path("docs"))'

## make campaign: all mutants on all recipes (docs/figures.md), faults, archives, formats, kills, speed, memory (docs/trust.md)
campaign: $(VENV)/installed
	$(BIN)/python benchmarks/campaign.py
	$(BIN)/python benchmarks/trust.py
	$(BIN)/python benchmarks/kills.py --kills 220
	$(BIN)/python benchmarks/conversion.py --hours 12
	$(BIN)/python benchmarks/conversion.py --memory 1 10 100

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(CORE) $(OLDEST) $(DEMO) build dist *.egg-info
