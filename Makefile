# make demo and make test set up all they need: .venv, node_modules, and on Debian the skopeo package.
SHELL := /bin/bash
PYTHON := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help setup demo up test check bench docs fix package test-nightly test-package lock clean

help:  ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 21

setup: .venv/.done node_modules/.done  ## Make .venv and node_modules (again only when their lists change)

.venv/.done: requirements-dev.txt .python-version scripts/find-python
	$$(scripts/find-python) -m venv --clear .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

node_modules/.done: package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: Node 20 or later runs Azurite, the storage emulator"; exit 1; }
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

demo: setup  ## Run the main job on the embedded emulators: push, replicate, clean, verify
	@$(PYTHON) -m emulators.demo

up: setup  ## Leave the emulators and the app running, and say what to try
	@$(PYTHON) -m emulators.demo --stay

test: setup  ## Run the tests
	$(PYTHON) -m pytest -n 2 --dist loadfile

check: setup  ## Lint, types, layers, format
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy .
	.venv/bin/lint-imports --no-cache

bench: setup  ## Measure, as ratios taken side by side in one run
	$(PYTHON) -m benchmarks

docs: setup  ## Write the pages of docs/ that come from the code
	$(PYTHON) -m cli.manual
	$(PYTHON) scripts/settings_manual.py
	page=$$($(PYTHON) scripts/bill_of_materials.py --markdown) && echo "$$page" > docs/dependencies.md
	schema=$$(./steward policy schema) && echo "$$schema" > docs/policy.schema.json

fix: setup  ## Format, and mend what the linter can mend
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

package: setup  ## Build the deployment zip, and the list of what it brings along
	$(PYTHON) scripts/package.py
	$(PYTHON) scripts/bill_of_materials.py > dist/registry-steward.cdx.json

test-nightly: setup  ## Run what takes hours: 10,000 examples of each law of retention, every fault, full sizes
	$(PYTHON) -m pytest --hypothesis-profile=nightly --timeout=0 tests/retention \
	  tests/replication/test_every_request.py tests/registry/test_real_tools.py tests/e2e/test_scale.py

test-package: package  ## Run the end-to-end tests on the unpacked deployment zip
	rm -rf build/package && mkdir -p build/package
	$(PYTHON) -m zipfile -e dist/registry-steward.zip build/package
	STEWARD_APP=$(CURDIR)/build/package $(PYTHON) -m pytest -n 2 --dist loadgroup tests/e2e

lock: setup  ## Pin requirements*.in with hashes
	.venv/bin/uv pip compile --quiet --generate-hashes --no-header -o requirements.txt requirements.in
	.venv/bin/uv pip compile --quiet --generate-hashes --no-header -o requirements-dev.txt requirements-dev.in requirements.in

clean:  ## Remove what setup and the tests left
	rm -rf .venv node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .steward
