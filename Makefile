# Every target does its own set-up: Python 3.11 to 3.13 with its venv module, and make, are all it needs.
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# ArcticDB needs pandas below 3, so what is measured beside has an environment of its own.
PEERS := .venv-peers
# vectorbt needs pandas 3.
VECTORBT := .venv-vectorbt
PACKAGES := barlake ingest_service feature_service training_service simulation_service app
CHECKED := $(PACKAGES) tests benchmarks docs
# pytest-xdist workers, `0` is none: one more than there are cores, because many tests wait for processes they started.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)' 2>/dev/null || echo 2)

# Tests start hundreds of processes: each would compile the house anew if nobody kept what was compiled.
export PYTHONDONTWRITEBYTECODE :=

INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: help install demo dashboard test test-slow lint types unit doctest bench docs site format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv and install Barlake in it
	@echo "Barlake is installed: $(BIN)/barlake --help"

demo: $(INSTALLED) ## the whole loop on made-up bars, without keys or network
	@$(BIN)/barlake demo

dashboard: $(INSTALLED) ## the lake in a browser, at http://127.0.0.1:8501
	@$(BIN)/barlake dashboard

test: lint types doctest unit ## everything that must pass before a commit

test-slow: $(INSTALLED_DEV) ## the campaigns: many kills, large data, a longer search for counterexamples
	HYPOTHESIS_PROFILE=search $(BIN)/pytest -m slow --timeout 1800

lint: $(INSTALLED_DEV) ## ruff: rules and format
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check $(CHECKED)

types: $(INSTALLED_DEV) ## mypy, strict
	@$(BIN)/mypy

unit: $(INSTALLED_DEV) ## the tests, without the slow ones
	@$(BIN)/pytest -m 'not slow' -n $(WORKERS) --maxprocesses 8

doctest: $(INSTALLED_DEV) ## every example in a docstring
	@$(BIN)/pytest --doctest-modules --ignore=barlake/migrations $(PACKAGES)

bench: $(INSTALLED_DEV) $(PEERS)/.installed $(VECTORBT)/.installed ## the promises of speed, each beside its peer
	@$(BIN)/python benchmarks/lake.py --peers $(PEERS)/bin/python
	@$(BIN)/python benchmarks/ingest.py
	@$(BIN)/python benchmarks/training.py
	@$(BIN)/python benchmarks/features.py
	@$(BIN)/python benchmarks/simulation.py --vectorbt $(VECTORBT)/bin/python
	@$(BIN)/python benchmarks/api.py
	@$(BIN)/python benchmarks/beside/made_up_lake.py build/measured-lake
	@$(BIN)/python benchmarks/dashboard.py build/measured-lake

docs: $(INSTALLED) ## write docs/cli.md from --help, docs/features.md and docs/strategies.md from docstrings
	@$(BIN)/python -m app.cli_docs > docs/cli.md.new && mv docs/cli.md.new docs/cli.md
	@$(BIN)/python -m feature_service.reference > docs/features.md.new && mv docs/features.md.new docs/features.md
	@$(BIN)/python -m simulation_service.strategies.reference > docs/strategies.md.new && mv docs/strategies.md.new docs/strategies.md

site: $(INSTALLED_DEV) ## the documentation as a site, in build/site; a link that leads nowhere ends it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

format: $(INSTALLED_DEV) ## let ruff mend what it can
	@$(BIN)/ruff check --fix $(CHECKED)
	@$(BIN)/ruff format $(CHECKED)

clean: ## remove .venv and caches; data/ stays
	rm -rf $(VENV) $(PEERS) $(VECTORBT) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find $(CHECKED) -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are written last, so a set-up that was cut short is begun again.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "Barlake needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is" \
	    "$$($(PYTHON) --version 2>/dev/null || echo missing). Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' lacks its venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; about a minute)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) -e '.[dashboard]'
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	@$(PIP) -e '.[dev]'
	@touch $@

$(PEERS)/.installed: benchmarks/peers.txt
	@test -x $(PEERS)/bin/pip || $(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet -r benchmarks/peers.txt
	@touch $@

$(VECTORBT)/.installed: benchmarks/vectorbt.txt
	@test -x $(VECTORBT)/bin/pip || $(PYTHON) -m venv --clear $(VECTORBT)
	@$(VECTORBT)/bin/python -m pip --disable-pip-version-check install --quiet -r benchmarks/vectorbt.txt
	@touch $@
