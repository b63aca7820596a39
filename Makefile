# Two commands on a fresh machine: `make demo` and `make test`. Each installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Nothing is compiled when it is installed, so the first import has to keep what it compiled, whatever the environment says.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test test-athena test-snowflake faults check bench docs lock clean cloud

demo: .venv/run
	$(BIN)/fleetlake demo

# Three workers, as many of the tests wait: a file at a time in the order of collection, the long files, with a broker or a JVM each,
# before the unit tests.
test: .venv/dev
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# Athena's views and queries on the engine Athena is: fetches Trino (821 MB) once, needs Java 24 or later.
test-athena: .venv/dev
	$(BIN)/python -m pytest tests/trino

# On a real account: FLEETLAKE_TEST_SNOWFLAKE_CONNECTION and AWS credentials; says what is missing.
test-snowflake: .venv/dev
	$(BIN)/python -m pytest tests/snowflake

# The whole matrix of faults, both engines, 20 seeds a scenario: some hours; all scenarios' first seed comes before their second, and
# MINUTES or Ctrl-C ends it with a table of what was played. "disk full" needs root, to mount a file system; Spark needs Java 17 or 21.
SEEDS ?= 20
MINUTES ?= 240
faults: .venv/dev
	$(BIN)/python -m tests.faults --seeds $(SEEDS) --minutes $(MINUTES)

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m checks.secrets
	$(BIN)/python -m checks.locks
	$(BIN)/python -m checks.advisories

# What `fleetlake deploy`, `fleetlake athena` and the aws profile need beyond the demo.
cloud: .venv/cloud

bench: .venv/dev
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.shapes
	$(BIN)/python -m benchmarks.checksums
	$(BIN)/python -m benchmarks.growth --limit 300
	$(BIN)/python -m benchmarks.transform

docs: .venv/dev
	$(BIN)/python -m docs.generate

COMPILE = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate
LOCK = $(COMPILE) pyproject.toml requirements/build.in
TOOLS = movingpandas checkov fakesnow
lock: .venv/dev
	$(LOCK) --extra dev --extra spark --extra aws --extra snowflake -o requirements/dev.lock
	$(LOCK) -c requirements/dev.lock -o requirements/run.lock
	$(LOCK) -c requirements/dev.lock --extra spark -o requirements/spark.lock
	$(LOCK) -c requirements/dev.lock --extra aws --extra snowflake -o requirements/cloud.lock
	for tool in $(TOOLS); do $(COMPILE) requirements/$$tool.in -o requirements/$$tool.lock || exit 1; done
	$(BIN)/python requirements/lock_jars.py
	$(BIN)/python -m checks.advisories --refresh

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info src/fleetlake/*/*.so

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "fleetlake needs Python 3.11 or later; set PYTHON=..."; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 2; }

.venv/run: requirements/run.lock pyproject.toml setup.py $(wildcard src/fleetlake/*/*.c) | .venv/bin/python
	$(BIN)/python -m pip install -q --no-compile --require-hashes --only-binary :all: -r requirements/run.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

.venv/cloud: requirements/cloud.lock .venv/run
	$(BIN)/python -m pip install -q --no-compile --require-hashes --only-binary :all: -r requirements/cloud.lock
	@touch $@

# pyspark comes as a source archive only; the setuptools of the lock makes it a wheel.
.venv/dev: requirements/dev.lock .venv/run
	$(BIN)/python -m pip install -q --no-compile --require-hashes --only-binary :all: --no-binary pyspark --no-build-isolation -r requirements/dev.lock
	@touch $@
