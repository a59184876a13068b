# `make demo` and `make test` are all that a newcomer needs; both install what they use into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help setup demo test test-long lint types imports docs bench clean

help:
	@echo "make demo        install into .venv, then train, merge, export and recognise in about two minutes"
	@echo "make test        lint, types, import rules and tests"
	@echo "make test-long   the tests that take minutes as well"
	@echo "make bench       measure what docs/benchmarks.md reports"
	@echo "make docs        generate the parts of docs/ that are made from the code"

$(INSTALLED): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@# The build tool's advice on editable installations is not for whoever types `make demo`.
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $(INSTALLED)

setup: $(INSTALLED)

demo: setup
	$(BIN)/toolkit demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports --no-cache

test: lint types imports
	$(BIN)/pytest -n 2

test-long: lint types imports
	$(BIN)/pytest -m "long or not long"

bench: setup
	$(BIN)/python -m benchmarks

docs: setup
	$(BIN)/python -m docs.generate

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
