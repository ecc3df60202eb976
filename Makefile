# Everything that one does with this project. Each target does its own set-up.

PYTHON ?= python3
ARGS ?=
# Words for the fault harness: python -m tests.harness --help
HARNESS ?=
VENV := .venv
# Layers of tests that start programs, browsers or whole projects.
SLOW_LAYERS := acceptance browser demo examples faults fuzz harness host_projects \
	interleavings
# What no version of a server makes a difference to: pages, parsers, files, the client, and
# what the API does before and after the statements, which the other tests run.
ONCE := benchmarks browser client demo embedded examples fuzz harness host_projects ops security \
	test_apps_stand_alone.py test_docs.py test_guide.py test_makefile.py \
	$(addprefix rest/test_,access.py description.py outages.py paths.py schemathesis.py) \
	commands/test_without_a_database.py counters/importing/test_reading.py rollups/test_settings.py
# Test files that run side by side, each process with servers of its own. Many tests wait for
# programs; more than two, and those that break brokers would hold each other up.
SIDE_BY_SIDE := --numprocesses=2 --dist=loadfile --no-loadscope-reorder
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.installed-run
DEV_READY := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help run demo test test-embedded test-real test-quick faults interleavings guarantees check lint types migrations-check sync-client docs screenshots audit fuzz bench bench-quick bench-memory wheel clean
export PIP_DISABLE_PIP_VERSION_CHECK = 1

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "PYTHON=python3.12 make ... uses another Python; ARGS=... goes to the program."

# `exec`, so that signals reach the service itself and not a shell that does not pass
# them on. It stops with `make`, even when that is killed.
run: $(RUN_READY) ## Run the whole service until Ctrl-C (PORT=8000, DATA_DIR=.local).
	@exec $(BIN)/python -m counters_project.runner --stop-with-parent

demo: $(RUN_READY) ## Show on a running service what the guarantees mean.
	@exec $(BIN)/python -m counters_project.demo $(ARGS)

# Both at once: what waits for a program leaves its core to the other. The second one's output
# is shown when the first one has ended.
test: $(DEV_READY) ## Run the tests on embedded servers, and on real ones if they answer.
	@output=$$(mktemp); \
	$(MAKE) --no-print-directory --keep-going --jobs=2 REAL_OUTPUT=$$output \
		test-embedded test-real; status=$$?; \
	cat $$output; rm $$output; exit $$status

test-embedded: $(DEV_READY)
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-real: $(DEV_READY)
	@$(BIN)/python -m pytest --servers=real -m "not acceptance and not own_brokers" \
		$(addprefix --ignore=tests/,$(ONCE)) $(ARGS) $(if $(REAL_OUTPUT),>$(REAL_OUTPUT) 2>&1)

test-quick: $(DEV_READY) ## Run the unit and database layers only (about two minutes).
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not acceptance and not faults and not own_brokers and not slow" \
		$(addprefix --ignore=tests/,$(SLOW_LAYERS)) $(ARGS)

faults: $(DEV_READY) ## Break everything in every way, for more than half an hour.
	@LONG_TESTS=1 $(BIN)/python -m pytest -m "faults or slow" $(ARGS)
	@$(BIN)/python -m tests.harness $(HARNESS)

interleavings: $(DEV_READY) ## Run the core's operations in every order of their steps (an hour).
	@INTERLEAVINGS=full $(BIN)/python -m pytest --timeout=0 -rP tests/interleavings $(ARGS)

guarantees: $(DEV_READY) ## Remove each important guarantee; a test must fail (five minutes).
	@$(BIN)/python -m tools.remove_guarantees $(ARGS)

check: $(DEV_READY) ## Run everything that CI runs.
	@$(MAKE) --jobs=2 --output-sync=target lint types migrations-check docs audit
	@$(MAKE) test

lint: $(DEV_READY) ## Check style and formatting.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(DEV_READY) ## Check types.
	@SECRET_KEY=unused $(BIN)/mypy

migrations-check: $(DEV_READY) ## Check that no migration is missing.
	@SECRET_KEY=unused $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

sync-client: $(DEV_READY) ## Write the client's code for threads from its code for tasks.
	@$(BIN)/python -m tools.sync_client

docs: $(DEV_READY) ## Build the documentation's site in docs/_build; a broken link fails.
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

screenshots: $(DEV_READY) ## Take the pictures of the documentation (needs /usr/bin/chromium).
	@$(BIN)/python -m tools.screenshots $(ARGS)

audit: $(DEV_READY) ## Ask whether a package is withdrawn or has a known vulnerability.
	@$(BIN)/python -m tools.audit

fuzz: $(DEV_READY) ## Give the API and every parser all sorts of things, for some minutes.
	@SCHEMATHESIS_EXAMPLES=1000 FUZZ_EXAMPLES=5000 $(BIN)/python -m pytest --timeout=3600 tests/rest/test_schemathesis.py tests/fuzz $(ARGS)

bench: $(DEV_READY) ## Measure everything, and write the tables of docs/performance.md (40 min).
	@$(BIN)/python -m benchmarks --publish $(ARGS)

bench-quick: $(DEV_READY) ## Measure what matters most, one short turn each (3 min).
	@$(BIN)/python -m benchmarks --quick $(ARGS)

bench-memory: $(DEV_READY) ## Measure each process's memory over ten minutes of load.
	@$(BIN)/python -m benchmarks --publish --only memory $(ARGS)

wheel: $(DEV_READY) ## Build the wheel of the two apps into dist/.
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@rm -rf build django_fold_counters.egg-info
	@ls dist/*.whl

clean: ## Remove the virtual environment and caches; the data in .local stays.
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN_READY): requirements.txt
	@$(call install,requirements.txt)

$(DEV_READY): requirements.txt requirements-dev.txt
	@$(call install,requirements-dev.txt)

# Makes the virtual environment unless it works, installs, and leaves a stamp.
define install
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "This needs Python 3.11 or newer, and $(PYTHON) is not."; \
		echo "Name another one: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12"; \
		exit 1; }; \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		echo "Making the virtual environment $(VENV) ..."; \
		$(PYTHON) -m venv --clear $(VENV) || exit 1; }; \
	echo "Installing $(1) ..."; \
	$(BIN)/python -m pip install --quiet --requirement $(1) || exit 1; \
	touch $@
endef
