# Everything a user or CI needs: `make demo` shows the product at work, `make test` proves it.
PYTHON ?= python3
BIN := .venv/bin
DEMO_FLAGS ?=
TEST_FLAGS ?=
# each worker has a Neo4j of its own; a server of yours has but one database
TEST_WORKERS ?= $(if $(NEO4J_URI),0,2)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint lock schema bench

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: expected Python 3.11 or newer, got $$($(PYTHON) --version). Next: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "Installing the locked packages into .venv" >&2
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .ci/uv.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

setup: .venv/installed  ## fill .venv from the lock and fetch Neo4j
	@$(BIN)/fieldgraph db fetch >&2  # stdout is the demo's: `make demo DEMO_FLAGS=--json`

demo: setup  ## simulate, train, predict and show what the graph says
	@$(BIN)/fieldgraph demo $(DEMO_FLAGS)

test: setup  ## run the tests against a Neo4j of their own
	@$(BIN)/pytest -m "not slow and not gpu" --numprocesses $(TEST_WORKERS) --dist loadfile $(TEST_FLAGS)

lint: .venv/installed  ## style, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

schema: .venv/installed  ## write the GraphQL schema to schema/schema.graphql
	@$(BIN)/fieldgraph schema > schema/schema.graphql

bench: setup  ## the slow checks; figures go to docs/benchmarks.md
	@$(BIN)/pytest -m slow $(TEST_FLAGS)

lock: .venv/installed  ## renew the locks (hashes, no index address)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform linux --generate-hashes --no-emit-index-url --extra gpu pyproject.toml -o requirements-gpu.lock
	grep -A 100 '^uv==' requirements.lock | sed '/^    # via/,$$d' > .ci/uv.lock
