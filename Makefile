# Two commands on a fresh machine: `make run` and `make test`. `make help` lists the rest.
# Nothing is needed beforehand but Python 3.11 or newer with venv, make and a network.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCRIPTS := api/static/dist/.sources
# Tests wait for browsers, processes and the database a third of their time: three of them keep two cores busy.
WORKERS ?= 3

# Networks of institutions often sign with a certificate of their own, which only the system's store knows.
CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem)
export UV_SYSTEM_CERTS ?= $(if $(CERTIFICATES),true,false)

.DEFAULT_GOAL := help
.PHONY: help install run test check torture bench screenshots lock clean

help: ## List the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run $(SCRIPTS) ## Install, start the database, migrate, load a small demo city and serve it
	@exec $(BIN)/timebank run --demo

install: $(VENV)/.run $(SCRIPTS) ## Install what running needs into .venv

test: check $(VENV)/.tools $(SCRIPTS) ## Install, check, and run every test
	$(BIN)/python -m slipcover -m pytest -q -n $(WORKERS) --ignore tests/browser --ignore tests/fuzz
	# What is measured is what the tests above cover; a browser waits for a bank that is not measured half as long.
	$(BIN)/python -m pytest -q -n $(WORKERS) tests/browser tests/fuzz
	@$(BIN)/python tests/coverage_floor.py

check: $(VENV)/.test ## Lint, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python api/web/build.py --check

torture: $(VENV)/.tools $(SCRIPTS) ## The long form of the tests that look for trouble; takes an hour or so
	$(BIN)/python -m tests.torture
	TIMEBANK_TORTURE=1 $(BIN)/python -m pytest -q tests/fuzz

bench: $(VENV)/.test $(SCRIPTS) ## Measure speed as ratios in one run and write docs/reference/benchmarks.md
	$(BIN)/python -m tests.bench

screenshots: $(VENV)/.tools $(SCRIPTS) ## Take every page, in both languages, on a phone, on a desk and in 大字, into ./screenshots
	@$(BIN)/python -m tests.browser.screenshots screenshots

lock: $(VENV)/.uv ## Resolve the dependencies again into the two lock files
	$(BIN)/python tests/lock.py

clean: ## Remove what make installed (never your data)
	rm -rf $(VENV) api/web/node_modules api/static/dist

# uv is pinned with the hashes of requirements.lock and fetched by pip once; everything else goes through it.
$(VENV)/.uv: requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {p=1} p {print} p && !/\\$$/ {exit}' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	@touch $@

$(VENV)/.run: $(VENV)/.uv requirements.lock pyproject.toml
	@test -e $(VENV)/.test || $(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.uv requirements-test.lock pyproject.toml
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements-test.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.run

$(VENV)/.tools: $(VENV)/.test
	@$(BIN)/python tests/tools.py
	@touch $@

# The pages' scripts, by the Node that came with the packages. The script itself knows whether anything has changed.
$(SCRIPTS): api/web/build.py api/web/.npmrc $(wildcard api/web/*.ts api/web/*.json) | $(VENV)/.run
	@$(BIN)/python api/web/build.py
