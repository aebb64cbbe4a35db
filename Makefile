# Needs Python 3.11 or newer and make, nothing else. PYTHON=/path/to/python chooses the interpreter.

CONFIG ?= examples/forest.toml
JOBS ?= 4
ARGS ?=
MINUTES ?= 15
KILLS ?= 300
SEED ?= 1
SEEDS ?= 200
START ?= 0

BIN := .venv/bin
RUN := .venv/.run-installed
DEV := .venv/.dev-installed
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input

export PYTHON

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test lint check format pages sim chaos

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

setup: $(RUN)  ## create .venv with the pinned dependencies and the command .venv/bin/elf

run: $(RUN)  ## set up and run the node on examples/forest.toml (CONFIG=... for another)
	@exec $(BIN)/elf node --config "$(CONFIG)" $(ARGS)

test: $(DEV)  ## set up and run every test (ARGS="-k name" for some, JOBS=0 for one process)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(DEV)  ## format check, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

pages: $(DEV)  ## write what follows from the code: golden lines of new events, docs/events.md, docs/sql.md
	@$(BIN)/python -m tests.golden.write
	@$(BIN)/python -m tests.events_page
	@$(BIN)/python -m tests.sql_page

sim: $(DEV)  ## simulate whole forests with faults, one for each seed (SEEDS=200 START=0)
	@$(BIN)/python -m tests.simulation.run --seeds $(SEEDS) --start $(START)

chaos: $(DEV)  ## kill node, keeper, server, runners and handlers under load (MINUTES=15 KILLS=300 SEED=1)
	@$(BIN)/python -m tests.chaos.kill_loop --minutes $(MINUTES) --kills $(KILLS) --seed $(SEED)

check: lint test  ## everything a change must pass: format, lint, types, tests

format: $(DEV)  ## format the sources and apply the safe fixes of the linter
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

# The checkout is run in place by a two-line command: an editable install would offer the same modules twice,
# as `events` and as `elf_forest.events`.
define ELF
#!/bin/sh
self=$$0; [ -L "$$self" ] && self=$$(readlink -f "$$self")
here=$${self%/*}
exec "$$here/python" "$$here/../../__main__.py" "$$@"
endef
export ELF

# The interpreter is the first of these that is new enough; the tested versions come first.
define FIND_PYTHON
for candidate in $${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$candidate; break; fi
done
if [ -z "$$found" ]; then
    echo "expected Python 3.11 or newer, got none of: $${PYTHON:-python3.11 python3.12 python3.13 python3 python}; try make PYTHON=/path/to/python" >&2; exit 2
fi
if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$$("$$found" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    echo "expected $$found to have the module venv, got one without; try: apt-get install $$package" >&2; exit 2
fi
endef
export FIND_PYTHON

$(BIN)/python:
	@set -e; found=; eval "$$FIND_PYTHON"; "$$found" -m venv .venv

# The sources are compiled as an installation would: without it, where Python may not write, every command does it again.
$(RUN): requirements/run.txt Makefile | $(BIN)/python
	@echo "installing the pinned dependencies into .venv"
	@$(PIP) install --require-hashes --no-deps --only-binary :all: -r requirements/run.txt
	@printf '%s\n' "$$ELF" > $(BIN)/elf
	@chmod 755 $(BIN)/elf
	@$(BIN)/python -m compileall -q __main__.py cli.py actors events projections || true
	@touch $@

$(DEV): requirements/dev.txt $(RUN)
	@echo "installing the pinned test and check tools into .venv"
	@$(PIP) install --require-hashes --no-deps --only-binary :all: -r requirements/dev.txt
	@touch $@
