# `make run` opens the app, `make test` runs the tests: each installs what it needs into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests run in so many processes, each on one core: a third of their time they wait for an app that nobody can hurry.
WORKERS ?= 3
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := run
SLOW := $(if $(MELBO_TUI_REAL_MODEL),slow or real,slow and not real)
.PHONY: run test test-all soak attack check format bench gpu-check organism clean

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "melbo-tui needs Python 3.11 or newer: make PYTHON=python3.12 run")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt core/bundled/requirements.txt | $(VENV)/bin/python
	$(PIP) install -q -c constraints.txt torch
	$(PIP) install -q -c constraints.txt -e .
	$(PIP) install -q --no-deps --require-hashes -r core/bundled/requirements.txt
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	$(PIP) install -q --no-deps repeng==0.4.0  # it reads our exports in a test, and claims to need an older numpy
	touch $@

run: $(VENV)/.run
	$(BIN)/melbo-tui $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

# Everything: the tests, then the slow ones and, where MELBO_TUI_REAL_MODEL names a model's folder, those on a real model. What
# is timed against the real thing runs by itself.
test-all: test
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m '$(SLOW)' --ignore tests/reliability
	$(BIN)/python -m pytest -q -m '$(SLOW)' tests/reliability

# Many minutes each, against the real thing; they print the figures that docs/reliability.md has.
soak: $(VENV)/.dev
	$(BIN)/python -m pytest -q -s -m soak -k 'not attack' --timeout 3600 tests/reliability

attack: $(VENV)/.dev
	$(BIN)/python -m pytest -q -s -m soak -k attack --timeout 3600 tests/reliability

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# MODEL: the default model, or another model's folder. What is converted lies in a folder of the benchmarks'.
bench: export MELBO_TUI_TEST_ROOT = $(CURDIR)/$(VENV)/bench
bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks.discovery $(if $(MODEL),--model $(MODEL))
	$(if $(MODEL),$(BIN)/python -m tests.benchmarks.families --model $(MODEL))
	$(BIN)/python -m tests.benchmarks.memory $(if $(MODEL),--model $(MODEL))
	$(BIN)/python -m tests.benchmarks.decoding $(if $(MODEL),--model $(MODEL))
	$(BIN)/python -m tests.benchmarks.library
	$(BIN)/python -m tests.benchmarks.interface

# On a machine with a GPU, in under four minutes and without network: speed beside what it was, and the GPU's tests.
# ARGS: --full for a whole family, --weights FILE for the default model's row.
gpu-check:
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m tests.benchmarks.gpu_check $(ARGS)

# Trains the bundled adapter anew, and holds it to its bars: under 45 minutes on two cores.
organism: $(VENV)/.dev
	$(BIN)/python -m core.organism.training --out core/bundled/organism
	$(BIN)/python -m core.organism.bars

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info
