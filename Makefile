# Each target does first what it needs of the set-up; a second run finds it done.
#
#   make setup   the environment (.venv), the table service's own (.tools/ministack), Debian packages
#   make kcl     the Kinesis Client Library (Java), for --runner kcl
#   make demo    recordings through the whole system, and what came out of it in demo-out/
#   make check   format, lint and types
#   make test    all tests
#   make bench   speed and memory, beside peers; .herald/bench.json
#   make clean   removes what these made

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev kcl demo check test bench clean

VENV := .venv
STAMPS := .venv/stamps
RUN_STAMPS := $(STAMPS)/packages $(STAMPS)/run .tools/ministack/installed

help:
	@sed -n '3,9s/^# *//p' Makefile

setup: $(RUN_STAMPS)

setup-dev: setup $(STAMPS)/dev

kcl: setup $(STAMPS)/kcl

demo: setup
	@exec $(VENV)/bin/herald demo $(ARGS)

check: setup-dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

test: setup-dev kcl $(STAMPS)/browser
	@exec $(VENV)/bin/pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: setup-dev kcl
	@exec $(VENV)/bin/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) .tools .herald demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv: ops/setup.sh
	@sh ops/setup.sh venv
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/packages: ops/debian-packages.txt ops/setup.sh | $(STAMPS)/venv
	@sh ops/setup.sh packages ops/debian-packages.txt $@
	@touch $@

$(STAMPS)/java: ops/debian-packages-kcl.txt ops/setup.sh | $(STAMPS)/venv
	@sh ops/setup.sh packages ops/debian-packages-kcl.txt $@
	@touch $@

$(STAMPS)/browser: ops/debian-packages-dev.txt ops/setup.sh | $(STAMPS)/venv
	@sh ops/setup.sh packages ops/debian-packages-dev.txt $@
	@touch $@

$(STAMPS)/kcl: requirements-kcl.lock requirements-kcl-build.lock ops/kcl-jars.sha256 ops/setup.sh | $(STAMPS)/java $(STAMPS)/run
	@sh ops/setup.sh kcl
	@touch $@

$(STAMPS)/run: requirements.lock pyproject.toml | $(STAMPS)/venv
	@sh ops/setup.sh install requirements.lock
	@touch $@

$(STAMPS)/dev: requirements-dev.lock | $(STAMPS)/run
	@sh ops/setup.sh install requirements-dev.lock
	@touch $@

.tools/ministack/installed: requirements-ministack.lock ops/setup.sh
	@sh ops/setup.sh ministack
	@touch $@
