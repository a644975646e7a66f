# Everything from a fresh clone, with only Python 3.11 or newer, git and make:
#   make demo     set up and run the main job on a sample trade
#   make test     set up and run the whole suite
#   make chaos    kill, stop and cut it at every point for MINUTES=10, and print a table
#   make bench    measure it beside its peers and the limit (SCALE=10 for more)
#   make profile  show where the time goes in what misses its target
#   make check    what the gate runs
PYTHON ?= python3
VENV := .venv
TYPES := .venv-types
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TYPES_INSTALLED := $(TYPES)/.installed
PIP_QUIET := --quiet --disable-pip-version-check
PACKAGES := $(wildcard tieout loaders cdc console sandbox tests bench)

.DEFAULT_GOAL := help
.PHONY: help setup demo test slow trades chaos bench profile lint format types check lock clean

help: ## Say what each target does
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(INSTALLED) ## Make .venv from requirements.lock
	@:

# The mark is written last: an interrupted set-up is repeated, a finished one costs nothing.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tieout needs Python 3.11 or newer; set PYTHON=…" >&2; exit 3; }
	@echo "Setting up $(VENV) (once, about half a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install $(PIP_QUIET) --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install $(PIP_QUIET) --no-deps --no-build-isolation --no-index -e .
	@touch $@

demo: setup ## Load, build, diff, drain, prove a sample trade of 200 orders
	@$(BIN)/tieout demo

test: setup ## Run the whole suite
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -q

slow: setup ## Run the whole suite and print what took longest
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -q --durations=60 --durations-min=1

SEED ?= 1
TRADES ?= 1000

trades: setup ## Play TRADES random orders (SEED another) and compare the books with a separate ledger
	@TIEOUT_TEST_TRADES=$(TRADES) TIEOUT_TEST_SEED=$(SEED) $(BIN)/python -m pytest -q tests/acceptance/test_random_trades.py

MINUTES ?= 10

chaos: setup ## Kill, stop and cut processes at every point for MINUTES (SEED another order), and print what came of it
	@$(BIN)/python -m tests.faults.chaos --minutes $(MINUTES) --seed $(SEED)

SCALE ?= 1
NAMES ?=
PEERS := .venv-bench

# Other people's programs, to compare with: environments of their own (one of them pins what another refuses).
$(PEERS)%/.installed: requirements-bench%.lock
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install $(PIP_QUIET) --require-hashes -r $<
	@touch $@

bench: setup $(PEERS)-peers/.installed $(PEERS)-singer/.installed ## Measure load, diff, drain and marts beside peers and the limit (SCALE=10, NAMES="load diff")
	@$(BIN)/python -m bench $(NAMES) --scale $(SCALE)

profile: setup ## Show where the time goes in what misses its target (SCALE=3, NAMES="diff outbox")
	@$(BIN)/python -m bench.profile $(NAMES) --scale $(SCALE)

lint: setup ## Format, lint, import contract, SQL
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --templater placeholder sql/queries
	$(BIN)/sqlfluff lint $(wildcard sql/schema sql/staging sql/macros models tests/dbt)

format: setup ## Format the code
	$(BIN)/ruff format $(PACKAGES)
	$(BIN)/ruff check --fix $(PACKAGES)

$(TYPES_INSTALLED): requirements-types.lock
	@test -x $(TYPES)/bin/python || $(PYTHON) -m venv $(TYPES)
	@$(TYPES)/bin/python -m pip install $(PIP_QUIET) --require-hashes -r requirements-types.lock
	@touch $@

# The type checker has an environment of its own (dbt pins a pathspec that it refuses) and looks into ours.
types: setup $(TYPES_INSTALLED) ## Check the types, strictly
	$(TYPES)/bin/mypy --strict --python-executable $(BIN)/python $(PACKAGES)

check: ## What the gate runs
	@.ci/run

# Needs uv. Universal: one file for every platform and every Python from 3.11.
lock: ## Write the lock files anew from pyproject.toml
	@{ echo '# Every package with its version and hashes, for Python 3.11 and newer on any platform. Made by `make lock`.'; \
	  uv pip compile pyproject.toml --extra sandbox --extra dev --universal --python-version 3.11 \
	    --generate-hashes --no-strip-extras --no-header --no-annotate --no-emit-index-url --quiet; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock
	@{ echo '# The type checker, in an environment of its own: dbt pins a pathspec that mypy refuses. Made by `make lock`.'; \
	  echo 'mypy>=2.4,<3' | uv pip compile - --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet; } > requirements-types.lock.new
	@mv requirements-types.lock.new requirements-types.lock
	@for peers in peers singer; do \
	  { echo "# What the benchmarks compare with, in an environment of its own. Made by make lock."; \
	    uv pip compile bench/peers/$$peers.in --universal --python-version 3.11 \
	      --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet; } > requirements-bench.new \
	  && mv requirements-bench.new requirements-bench-$$peers.lock || exit 1; done

clean: ## Remove the environments and caches (not your data)
	rm -rf $(VENV) $(TYPES) $(PEERS)-* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache target logs
