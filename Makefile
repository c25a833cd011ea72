# Vault BFF: all commands for people and CI. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := $(VENV)/bench/bin/python
CANAILLE := $(VENV)/canaille/bin/python

NPM := npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
PYTEST := $(BIN)/python -m pytest
# A worker runs the tests of a file in their order; tests/conftest.py starts with the slow files.
PARALLEL := --numprocesses=auto --dist=loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

IMAGE ?= vault-bff:dev
SBOM ?= sbom.json
export DEMO_PORT_BASE ?= 8000
# The tests start the service hundreds of times, so Python must cache the compiled modules.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/.runtime ## Run the service and everything around it on loopback, without an account or a key
	@exec $(BIN)/python deploy/local/run.py

.PHONY: run
run: $(VENV)/.runtime ## Run the service with your settings
	@exec $(BIN)/python -m app serve

# Coverage doubles the duration of tests that run the service in the process of the tests, so it is
# measured only with the tests in COVERED, which are fast. Tests marked `serial` measure time or load,
# so they run alone. If ARGS select no test of one kind, pytest exits with status 5.
COVERED := $(addprefix tests/,api contract e2e emulators unit)
OTHERS := $(filter-out $(COVERED) tests/conftest.py,$(wildcard tests/*))
.PHONY: test
test: $(VENV)/.dev $(VENV)/canaille/.installed ## Run all tests, in parallel where possible, some with branch coverage
	$(PYTEST) $(PARALLEL) -m "not serial" $(addprefix --ignore=,$(COVERED)) $(ARGS) || [ $$? = 5 ]
	$(PYTEST) $(PARALLEL) -m "not serial" $(addprefix --ignore=,$(OTHERS)) --cov --cov-report=term $(ARGS) || [ $$? = 5 ]
	$(PYTEST) -m serial $(ARGS) || [ $$? = 5 ]

.PHONY: test-unit
test-unit: $(VENV)/.dev ## Run the fast tests, in less than a minute
	$(PYTEST) $(PARALLEL) tests/unit tests/api tests/architecture $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.dev ## Fuzz with many random examples (make test runs a few, always the same)
	$(PYTEST) tests/fuzz --hypothesis-profile=fuzz $(ARGS)

.PHONY: mutants
mutants: $(VENV)/.dev ## Change the logic in small ways, and list the changes that no test detects
	$(BIN)/python tests/mutants/run.py $(ARGS)

.PHONY: e2e
e2e: $(VENV)/.dev node-modules ## Run the browser tests (needs Chromium and Node.js)
	$(PYTEST) tests/browser --no-skips $(ARGS)

.PHONY: screenshots
screenshots: $(VENV)/.dev ## Take the screenshots of the demo for the docs (needs Chromium)
	PYTHONPATH=.:deploy/local $(BIN)/python -m tests.support.screenshots

.PHONY: node-modules
node-modules: ## Install what the tests need from npm
	$(NPM) --prefix tests/support/oidc_provider
	$(NPM) --prefix tests/support/browser
	$(NPM) --prefix tests/support/compose_lint
	$(NPM) --prefix tests/support/webhook_receiver
	$(NPM) --prefix tests/support/vite_app

.PHONY: canaille
canaille: $(VENV)/canaille/.installed ## Install the identity provider Canaille, which some tests need

.PHONY: programs
programs: $(VENV)/programs/.installed ## Install Traefik, helm and kubectl, which some tests need

.PHONY: bench
bench: $(VENV)/bench/.installed ## Compare the service with alternatives (20 minutes; ARGS=--quick: 4)
	$(NPM) --prefix benchmarks/peers/node
	PYTHONPATH=deploy/local $(BENCH) -m benchmarks.compare $(ARGS)

.PHONY: plot
plot: $(VENV)/bench/.installed ## Draw the results of make bench
	$(BENCH) -m benchmarks.plot

.PHONY: bench-transport
bench-transport: $(VENV)/bench/.installed ## Compare HTTP clients for the requests to Apideck
	$(BENCH) -m benchmarks.transport $(ARGS)

.PHONY: profile
profile: $(VENV)/bench/.installed ## Show the CPU time of a request by package
	PYTHONPATH=deploy/local $(BENCH) -m benchmarks.profile $(ARGS)

.PHONY: instructions
instructions: $(VENV)/bench/.installed ## Count the instructions for a request (needs valgrind)
	PYTHONPATH=deploy/local $(BENCH) -m benchmarks.instructions $(ARGS)

.PHONY: soak
soak: $(VENV)/.runtime ## Load the service for five minutes, and check that nothing grows
	PYTHONPATH=deploy/local $(BIN)/python -m benchmarks.soak $(ARGS)

.PHONY: image
image: ## Build the image with docker, podman or buildah
	@for engine in docker podman buildah; do \
	  $$engine info >/dev/null 2>&1 || continue; \
	  exec env BUILDAH_FORMAT=docker $$engine build --tag $(IMAGE) \
	    --build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
	    --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) $(ARGS) .; \
	done; echo "make image needs docker, podman or buildah" >&2; exit 1

.PHONY: wheel
wheel: $(VENV)/.dev ## Build the wheel and the source distribution in dist/
	@rm -rf dist
	$(BIN)/hatchling build -t sdist -t wheel

.PHONY: install-check
install-check: wheel ## Install the service with pip, pipx and uvx, each in an empty environment, and run it
	$(BIN)/python -m tests.support.ways_to_run pip pipx uvx

.PHONY: lint
lint: $(VENV)/.dev ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: hooks
hooks: $(VENV)/.dev ## Check style and types before every commit (git hook)
	$(BIN)/pre-commit install

.PHONY: format
format: $(VENV)/.dev ## Fix and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: $(VENV)/.dev ## Pin the newest versions of all Python packages, with hashes
	$(BIN)/uv pip compile pyproject.toml $(LOCK) --output-file requirements.txt
	$(BIN)/uv pip compile pyproject.toml --group dev --constraint requirements.txt $(LOCK) --output-file requirements-dev.txt
	$(BIN)/uv pip compile pyproject.toml --group bench --constraint requirements.txt $(LOCK) --output-file benchmarks/requirements.txt
	$(BIN)/uv pip compile tests/support/canaille/requirements.in $(LOCK) --output-file tests/support/canaille/requirements.txt
	$(BIN)/uv pip compile tests/support/programs/requirements.in --no-deps $(LOCK) --output-file tests/support/programs/requirements.txt

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet --upgrade --custom-compile-command 'make lock'

.PHONY: docs
docs: $(VENV)/.dev ## Generate the configuration reference and the OpenAPI document
	$(BIN)/python docs/reference.py

.PHONY: dashboard
dashboard: $(VENV)/.dev ## Generate the Grafana dashboard from dashboard.toml
	$(BIN)/python deploy/grafana/render.py

.PHONY: sbom
sbom: $(VENV)/.dev ## Write sbom.json, the Python packages of the image (CycloneDX)
	$(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --validate --output-file $(SBOM)

.PHONY: audit
audit: $(VENV)/.dev ## Look up known vulnerabilities of the runtime packages on PyPI; fail if one cannot be looked up
	$(BIN)/uvx --quiet pip-audit@2.10.1 --strict --requirement requirements.txt --require-hashes --disable-pip

.PHONY: licenses
licenses: $(VENV)/.dev ## Check that the licence of every runtime package is allowed
	$(BIN)/pip-licenses --packages $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' requirements.txt)

.PHONY: clean
clean: ## Remove everything that make created
	rm -rf $(VENV) dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache mutants

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt | $(VENV)/bin/python
	$(PIP) install --require-hashes --no-deps --requirement $<
	@touch $@

$(VENV)/.dev: requirements-dev.txt | $(VENV)/bin/python
	$(PIP) install --require-hashes --no-deps --requirement $<
	@touch $@ $(VENV)/.runtime

# The benchmarks have a separate virtual environment without the test tools.
$(VENV)/bench/.installed: benchmarks/requirements.txt
	$(PYTHON) -m venv $(VENV)/bench
	$(BENCH) -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps --requirement $<
	@touch $@

# Canaille has a separate virtual environment, because its dependencies differ from the service's.
$(VENV)/canaille/.installed: tests/support/canaille/requirements.txt
	$(PYTHON) -m venv $(VENV)/canaille
	$(CANAILLE) -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps --requirement $<
	@touch $@

# The package for AWS Lambda contains an archive, which contains another archive.
$(VENV)/programs/.installed: tests/support/programs/requirements.txt | $(VENV)/bin/python
	rm -rf $(@D)
	$(PIP) install --require-hashes --no-deps --target $(@D) --requirement $<
	cd $(@D) && tar -xzf aws_cdk/*/_jsii/*.tgz package/lib/layer.zip
	$(BIN)/python -m zipfile -e $(@D)/package/lib/layer.zip $(@D)/layer
	install $(@D)/layer/helm/helm $(@D)/layer/kubectl/kubectl $(@D)/bin
	cd $(@D) && rm -rf aws_cdk package layer
	@touch $@
