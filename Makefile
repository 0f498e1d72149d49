# make app    set up what is missing and open the app
# make check  format, lint, types and the fast tests, in a minute or so
# make test   set up what is missing, then check formatting, lint, types and run every test
#
# Variables: VENV (where the virtual environment lives), PORT (of the app), PYTHON3 (the interpreter to start from),
# PYTEST_ARGS, TORCH_INDEX (an extra package index, such as the one of PyTorch that holds the small CPU-only builds).

VENV        ?= .venv
PORT        ?= 8501
PYTHON3     ?= python3
PYTEST_ARGS ?= -n 2 --dist loadfile
TORCH_INDEX ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

FAST := tests/unit/model tests/unit/tracing tests/unit/drawing tests/unit/weights tests/unit/formulas tests/unit/test_*.py

.PHONY: app check test lint format types fast unit install install-dev clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -6

app: install
	$(BIN)/rtdetr-explained app --port $(PORT)

check:
	@$(MAKE) --no-print-directory -j 2 lint types
	@$(MAKE) --no-print-directory fast

test: lint types unit

lint: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install-dev
	$(BIN)/pyright --pythonpath $(BIN)/python

fast: install-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS) -q -m "not online and not slow" $(FAST)

unit: install-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

# torch comes first and on its own, so that its (large) download is neither repeated nor upgraded by what follows.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON3=...")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON3) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(PIP) -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) -e '.[dev]'
	touch $@

# Leaves the environment itself; what is missing in it is installed again by the next target.
clean:
	rm -rf build dist .pytest_cache .ruff_cache $(VENV)/.installed $(VENV)/.installed-dev
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
