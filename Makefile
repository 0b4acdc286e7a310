# `make demo` and `make test` need only Python 3.11 or newer: they build .venv themselves.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow lint clean

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

demo: .venv/installed
	$(BIN)/python train.py -exp=quickstart -n_threads=2
	$(BIN)/python make_figures.py -exp=quickstart

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

test: lint
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
