# `make help` lists what there is; the text is in the comment behind each target.
PYTHON ?= python3
ARGS ?=
# So many tests run at once, each file in one of as many processes that have servers of their own.
WORKERS ?= 2
PARALLEL := --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder
BIN := .venv/bin
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: help up down status test bench examples check docs lock

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

up: .venv/run.stamp ## Start the whole stack; Ctrl-C ends it. ARGS=--detach returns when it is ready
	@exec $(BIN)/kleis up --parent $$PPID $(ARGS)

down: .venv/run.stamp ## End the stack, however it was started
	@exec $(BIN)/kleis down

status: .venv/run.stamp ## Show what runs. ARGS=--json for programs
	@exec $(BIN)/kleis status $(ARGS)

test: check ## Everything: the checks, then every test. ARGS goes to pytest
	$(BIN)/pytest $(if $(ARGS),$(ARGS),$(PARALLEL) tests/service tests/system tests/browser)

bench: .venv/test.stamp ## The long benchmarks of docs/performance.md; wants a quiet machine
	$(BIN)/python -m benchmarks.session_check --requests 1000000
	$(BIN)/python -m benchmarks.logins
	$(BIN)/python -m benchmarks.edge_forwarding
	$(BIN)/python -m benchmarks.passwords
	$(BIN)/python -m benchmarks.limiter
	$(BIN)/python -m benchmarks.decisions
	$(BIN)/python -m benchmarks.decision_races
	$(BIN)/python -m benchmarks.kit_verification
	$(BIN)/python -m benchmarks.tuple_loading
	$(BIN)/python -m benchmarks.tokens

examples: .venv/test.stamp ## The examples with reverse proxies, run with those that are installed
	$(BIN)/pytest tests/proxies

check: .venv/test.stamp ## Format, lint, types, import contracts, and the tests that need no server
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd clients/python && ../../$(BIN)/lint-imports
	$(BIN)/pytest $(PARALLEL) tests/unit tests/contract tests/kit

docs: .venv/run.stamp ## Write the documents that the code knows best: settings, API
	$(BIN)/kleis docs settings > docs/settings.md
	$(BIN)/kleis docs openapi > docs/openapi.json

lock: ## Write the lock files in requirements/ anew (needs uv)
	$(LOCK) pyproject.toml --output-file requirements/run.lock
	$(LOCK) pyproject.toml --extra test --constraints requirements/run.lock \
		--output-file requirements/test.lock
	$(LOCK) requirements/go.in --output-file requirements/go.lock

# One environment for both: what tests need includes what running needs, so the stamp of the
# tests is good for running too, as long as it is the newer one.
.venv/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "kleis: $(PYTHON) is missing or older than Python 3.11: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "kleis: $(PYTHON) has no venv module: install it (Debian: apt install python3-venv)" >&2; exit 1; }
	@echo "making the environment in .venv (once)"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run.stamp: requirements/run.lock pyproject.toml | .venv/python.stamp
	@if [ .venv/test.stamp -nt requirements/test.lock ] && [ .venv/test.stamp -nt pyproject.toml ] \
		&& [ .venv/test.stamp -nt requirements/run.lock ]; then :; else \
		$(call install,run); fi
	@touch $@

.venv/test.stamp: requirements/test.lock requirements/run.lock pyproject.toml | .venv/python.stamp
	@$(call install,test)
	@touch $@ .venv/run.stamp

define install
echo "installing what requirements/$(1).lock names"; \
$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	-r requirements/$(1).lock && \
$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	--no-build-isolation --editable .
endef
