# Every target makes the environment it needs, in .venv.
#
#   make demo MESSAGE="any text"   a message through four mixes, to be read as it arrives
#   make network                   the same network, left running in FOLDER
#   make test                      all tests that need neither root nor foreign servers, as
#                                  many modules at a time as there are processors (JOBS=1)
#   make fuzz                      100,000 spoilt inputs for every parser (FUZZ="--inputs 1000")
#   make integration               those with foreign servers, root and apt (Debian)
#   make bench                     figures, and build/bench.json
#   make lint types docs news packaging clean

PYTHON ?= python3
BIN := .venv/bin
TRIAL := $(BIN)/python -m mixminion.testing.trial
JOBS ?= $(shell nproc 2>/dev/null || echo 1)

# Any text at all: nothing in it is expanded by make or read by a shell.
override MESSAGE := $(value MESSAGE)
FOLDER ?= build/network
override FOLDER := $(value FOLDER)
export MESSAGE FOLDER

.PHONY: demo network test fuzz integration bench lint types docs news packaging clean

demo: .venv/.test
	@$(BIN)/python -m mixminion.testing.demo

network: .venv/.test
	@$(BIN)/python -m mixminion.testing.network "$$FOLDER"

test: .venv/.test
	$(TRIAL) tests --without tests.integration --jobs $(JOBS)

fuzz: .venv/.test
	$(BIN)/python -m tests.fuzz $(FUZZ)

integration: .venv/.test
	.ci/install mutt git git-email postfix inn2 openssl dovecot-imapd dovecot-lmtpd opendkim gcc libc6-dev e2fsprogs mount tinyproxy
	$(TRIAL) tests.integration

bench: .venv/.test
	$(BIN)/python -m mixminion.benchmarks

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

docs: .venv/.dev
	$(BIN)/sphinx-build -q -W --keep-going -b html doc build/docs
	$(BIN)/sphinx-build -q -W --keep-going -b man doc build/man

news: .venv/.dev
	$(BIN)/towncrier build --draft

packaging: .venv/.test
	$(TRIAL) tests.integration.test_packaging

clean:
	rm -rf .venv build dist mixminion.egg-info .mypy_cache .ruff_cache _trial_temp*

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Mixminion needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.test .venv/.dev: .venv/.%: setup.cfg pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
