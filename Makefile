# Set up, train, test. Needs python3 (3.11 or newer) and a package registry; everything else comes by itself.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MODEL ?= models/first-lap
# One process more than the two cores of a small machine: many tests wait for processes that they start, which are to
# find compiled modules even where this shell is told to write none.
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help train test test-slow fuzz check format bench clean

help:
	@echo "make train       set up, train the first model, evaluate and film it ($(MODEL))"
	@echo "make test        set up, run the tests"
	@echo "make test-slow   the tests that take minutes each"
	@echo "make fuzz        100,000 damaged files for every reader of files; goes on where it was ended"
	@echo "make check       formatter, linter, type checker"
	@echo "make bench       measure the simulator and the training loop on this machine"

# The stamp is remade when the dependencies change.
$(VENV)/.installed: pyproject.toml
	@echo "Setting up $(VENV): about a gigabyte to install, a minute or two ..."
	@start=$$(date +%s); \
	$(PYTHON) -m venv $(VENV) && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . && \
	echo "Set up in $$(($$(date +%s) - start)) s."
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

train: $(VENV)/.installed
	@test -f $(MODEL)/reward_function.py || $(BIN)/hotlap new $(MODEL)
	$(BIN)/hotlap train $(MODEL) --resume
	$(BIN)/hotlap evaluate $(MODEL) --laps 100
	@echo
	@echo "Go on with a model of your own:"
	@echo "  source $(BIN)/activate      # once in every new terminal; then the command hotlap is found"
	@echo "  hotlap new models/mine"

test: $(VENV)/.installed-dev
	$(PYTEST) -m "not slow and not gpu"

test-slow: $(VENV)/.installed-dev
	$(PYTEST) -m "slow"

fuzz: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz_long_run.py
	$(BIN)/python tests/fuzz/fuzz_long_run.py --page

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev
	$(BIN)/hotlap bench sim
	$(BIN)/hotlap bench train --versus sb3

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
