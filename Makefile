# Two commands on a fresh machine: `make demo` and `make test`. Each installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test check bench docs lock clean

demo: .venv/run
	$(BIN)/fleetlake demo

test: .venv/dev
	$(BIN)/python -m pytest

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.transform

docs: .venv/dev
	$(BIN)/python -m docs.generate

COMPILE = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate
LOCK = $(COMPILE) pyproject.toml requirements/build.in
lock: .venv/dev
	$(LOCK) -o requirements/run.lock
	$(LOCK) --extra spark -o requirements/spark.lock
	$(LOCK) --extra dev --extra spark -o requirements/dev.lock
	$(COMPILE) requirements/movingpandas.in -o requirements/movingpandas.lock
	$(BIN)/python requirements/lock_jars.py

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "fleetlake needs Python 3.11 or later; set PYTHON=..."; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 2; }

.venv/run: requirements/run.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --require-hashes --only-binary :all: -r requirements/run.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

# pyspark comes as a source archive only; the setuptools of the lock makes it a wheel.
.venv/dev: requirements/dev.lock .venv/run
	$(BIN)/python -m pip install -q --require-hashes --only-binary :all: --no-binary pyspark --no-build-isolation -r requirements/dev.lock
	@touch $@
