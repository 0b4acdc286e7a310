# `make demo` and `make test` need only Python 3.11 or newer: they build .venv themselves.
PYTHON ?= python3
BIN := .venv/bin

# Tests start hundreds of processes; without bytecode files each would compile the project anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo docs test test-slow test-cluster lint clean benchmarks

# What running needs, for `make demo`; pip says what it fetches.
.venv/demo: pyproject.toml
	@echo "installing into .venv (a minute or two) …"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[demo]'
	touch $@

# The tools and libraries of the tests as well.
.venv/installed: pyproject.toml
	@echo "installing into .venv, with the tools of the tests (a few minutes) …"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[test]'
	touch $@

demo: .venv/demo
	$(BIN)/python train.py -exp=quickstart -n_threads=2
	$(BIN)/python make_figures.py -exp=quickstart

# The API reference in build/reference; a warning of the tool is an error.
docs: .venv/installed
	$(BIN)/python docs/build_reference.py build/reference

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

# Bits, and trainings that compute more than they compile: compiled as for users, or nearly so.
AS_USERS := tests/contracts/test_training.py tests/contracts/test_attacks.py \
	tests/studies/test_walking_noise.py tests/studies/test_sparse_tickets_on_mnist.py
# Where arrays are checked against their annotations.
CHECKED := tests/contracts tests/stitching
PYTEST := $(BIN)/python -m pytest -n 2 --durations=15 -m "not slow and not cluster"
QUICK := XLA_FLAGS="$$($(BIN)/python tests/xla_flags.py)"

test: lint
	$(QUICK) $(PYTEST) $(AS_USERS:%=--ignore=%) $(CHECKED:%=--ignore=%)
	$(QUICK) $(PYTEST) --check-arrays $(AS_USERS:%=--ignore=%) $(CHECKED)
	$(PYTEST) --check-arrays $(AS_USERS)

test-slow: .venv/installed
	XLA_FLAGS= $(BIN)/python -m pytest -m "slow and not cluster"

# On a real SLURM, which is installed and started where that can be done (Debian, as root); else says why not.
test-cluster: .venv/installed
	@tests/cluster/start_slurm.sh || { status=$$?; [ $$status = 77 ] && exit 0 || exit $$status; }; \
	if sinfo -h >/dev/null 2>&1; then $(BIN)/python -m pytest -m cluster tests/cluster; fi

# The tables of docs/performance.md; meant for two quiet cores. peers.py and lipschitz.py leave out what is not
# installed (extra `peers`).
benchmarks: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[benchmark]'
	$(BIN)/python benchmarks/lsnn_gradient.py --repeats=11
	$(BIN)/python benchmarks/robust_step.py --repeats=3
	$(BIN)/python benchmarks/cnn_step.py --repeats=3
	$(BIN)/python benchmarks/training_loop.py --repeats=1
	$(BIN)/python benchmarks/mismatch_draws.py --repeats=1
	$(BIN)/python benchmarks/many_models.py --repeats=1
	$(BIN)/python benchmarks/sparse_tickets.py --repeats=5
	$(BIN)/python benchmarks/stitching.py --repeats=5
	$(BIN)/python benchmarks/lipschitz.py --repeats=3
	$(BIN)/python benchmarks/lipschitz_digits.py
	$(BIN)/python benchmarks/walking_noise.py --repeats=1
	$(BIN)/python benchmarks/walking_grid.py --repeats=3
	$(BIN)/python benchmarks/peers.py --repeats=7
	$(BIN)/python benchmarks/engine.py

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
