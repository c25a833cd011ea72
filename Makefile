# Vault BFF: everything a person or CI runs. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := $(VENV)/bench/bin/python

NPM := npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

IMAGE ?= vault-bff:dev
SBOM ?= sbom.json
export DEMO_PORT_BASE ?= 8000

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/.runtime ## Run everything on loopback: no account, no key
	@exec $(BIN)/python deploy/local/run.py

.PHONY: run
run: $(VENV)/.runtime ## Run the service alone, with your settings
	@exec $(BIN)/python -m app serve

.PHONY: test
test: $(VENV)/.dev ## Run the whole test suite, with branch coverage
	$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.dev ## Fuzz for as long as it takes (make test runs a slice that is always the same)
	$(BIN)/python -m pytest tests/fuzz --hypothesis-profile=fuzz $(ARGS)

.PHONY: mutants
mutants: $(VENV)/.dev ## Change the code that decides, and see which changes no test notices
	$(BIN)/python tests/mutants/run.py $(ARGS)

.PHONY: e2e
e2e: $(VENV)/.dev node-modules ## Click through everything in a real browser (needs Chromium, Node.js)
	$(BIN)/python -m pytest tests/browser --no-skips $(ARGS)

.PHONY: screenshots
screenshots: $(VENV)/.dev ## Photograph the demo for the docs (needs Chromium)
	PYTHONPATH=.:deploy/local $(BIN)/python -m tests.support.screenshots

.PHONY: node-modules
node-modules: ## Install what tests need from npm: an identity provider, browser tools, a linter
	$(NPM) --prefix tests/support/oidc_provider
	$(NPM) --prefix tests/support/browser
	$(NPM) --prefix tests/support/compose_lint

.PHONY: bench
bench: $(VENV)/bench/.installed ## Compare the service with what people write in its place (some 45 minutes)
	$(NPM) --prefix benchmarks/peers/node
	PYTHONPATH=deploy/local $(BENCH) -m benchmarks.compare $(ARGS)

.PHONY: plot
plot: $(VENV)/bench/.installed ## Draw what make bench measured
	$(BENCH) -m benchmarks.plot

.PHONY: bench-transport
bench-transport: $(VENV)/bench/.installed ## Compare what can carry a request to Apideck
	$(BENCH) -m benchmarks.transport $(ARGS)

.PHONY: profile
profile: $(VENV)/bench/.installed ## Show where a request's CPU goes, room by room
	PYTHONPATH=deploy/local $(BENCH) -m benchmarks.profile $(ARGS)

.PHONY: soak
soak: $(VENV)/.runtime ## Load the service for five minutes, and see that nothing grows
	PYTHONPATH=deploy/local $(BIN)/python -m benchmarks.soak $(ARGS)

.PHONY: image
image: ## Build the image with docker, podman or buildah, whichever answers
	@for engine in docker podman buildah; do \
	  $$engine info >/dev/null 2>&1 || continue; \
	  exec env BUILDAH_FORMAT=docker $$engine build --tag $(IMAGE) \
	    --build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
	    --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) $(ARGS) .; \
	done; echo "make image needs docker, podman or buildah" >&2; exit 1

.PHONY: lint
lint: $(VENV)/.dev ## Style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.dev ## Rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: ## Pin the newest versions, with hashes and without addresses
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	$(VENV)/lock/bin/uv pip compile pyproject.toml $(LOCK) --output-file requirements.txt
	$(VENV)/lock/bin/uv pip compile pyproject.toml --group dev --constraint requirements.txt $(LOCK) --output-file requirements-dev.txt
	$(VENV)/lock/bin/uv pip compile pyproject.toml --group bench --constraint requirements.txt $(LOCK) --output-file benchmarks/requirements.txt

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet --upgrade --custom-compile-command 'make lock'

.PHONY: docs
docs: $(VENV)/.dev ## Write the configuration reference and the OpenAPI document from the code
	$(BIN)/python docs/reference.py

.PHONY: dashboard
dashboard: $(VENV)/.dev ## Write Grafana's dashboard.json from dashboard.toml
	$(BIN)/python deploy/grafana/render.py

.PHONY: sbom
sbom: $(VENV)/.dev ## Write sbom.json: all that the image may hold of Python packages (CycloneDX)
	$(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --validate --output-file $(SBOM)

.PHONY: licenses
licenses: $(VENV)/.dev ## Refuse a runtime package whose licence is not among those that may be
	$(BIN)/pip-licenses --packages $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' requirements.txt)

.PHONY: clean
clean: ## Remove everything that make made
	rm -rf $(VENV) .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache mutants

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt | $(VENV)/bin/python
	$(PIP) install --require-hashes --no-deps --requirement $<
	@touch $@

$(VENV)/.dev: requirements-dev.txt | $(VENV)/bin/python
	$(PIP) install --require-hashes --no-deps --requirement $<
	@touch $@ $(VENV)/.runtime

# The service and all that it is compared with, apart from what the service is tested with.
$(VENV)/bench/.installed: benchmarks/requirements.txt
	$(PYTHON) -m venv $(VENV)/bench
	$(BENCH) -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps --requirement $<
	@touch $@
