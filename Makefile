# `make up` serves the whole product on this machine; `make test` runs all the tests. Python 3.11+ and make are all it needs.
PYTHON ?= python3
VENV := .venv/bin
export PORT AWS_PORT VAR_DIR

.PHONY: help up install test lint lock schema clean

help:
	@echo "make up      install, start everything, serve on http://localhost:8000 (PORT, AWS_PORT, VAR_DIR move it)"
	@echo "make test    run all the tests"
	@echo "make lint    run all the checks"
	@echo "make lock    lock the versions in requirements.in, requirements-dev.in and package.json"
	@echo "make schema  write stacks/manifest.schema.json from the code"
	@echo "make clean   remove what was installed (never var/, where the data lies)"

install:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is missing. On Debian or Ubuntu: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) scripts/install.py

up: install
	@$(VENV)/python scripts/up.py
