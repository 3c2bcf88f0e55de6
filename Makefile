# Every target that people use has a "##" line; `make` alone prints them.
# Settings: PYTHON=... the interpreter to start from, PYTEST_ARGS=... more arguments for pytest, JOBS=... processes that test, UPGRADE=1 with `make lock`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Tests and tools start the service hundreds of times: compiled once, whatever the environment says of bytecode.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# How many processes run tests at a time; 0: none beside pytest's own, which takes twice as long.
JOBS ?= 2
NPM_TESTS := tests/clients/npm
TIMED := tools/timed
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' app/__init__.py)
IMAGE ?= auth-service:$(VERSION)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ------------------------------------------------------------------------------------------------- installing

# Stamps: what is installed is installed again only when the file that names it has changed.
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed

$(BIN)/python:
	@python=$$(tools/python) || exit 1; echo "creating $(VENV) with $$python"; "$$python" -m venv $(VENV)

$(RUNTIME): requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@echo "installing the service's packages from requirements.lock (about half a minute)"
	@$(PIP) install --require-hashes -r requirements-build.lock -r requirements.lock
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(DEVELOPMENT): requirements-dev.lock $(RUNTIME)
	@echo "installing the packages for tests and checks from requirements-dev.lock (about half a minute)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: install
install: $(DEVELOPMENT) ## everything that the service and its Python tests need, into .venv
	@echo "installed: $(BIN)/auth-service; next: make serve, make test"

.PHONY: serve
serve: $(RUNTIME) ## run the service on 127.0.0.1:8080 in memory, and print commands to try it
	@exec $(BIN)/python -m app serve --demo

# ------------------------------------------------------------------------------------------------- tests

.PHONY: programs
programs:
	@python=$(BIN)/python; $$python tools/programs.py install redis-server redis-sentinel redis-cli node npm git promtool amtool curl

# npm writes node_modules/.package-lock.json last; without npm the tests that need it say so themselves.
$(NPM_TESTS)/node_modules/.package-lock.json: $(NPM_TESTS)/package-lock.json
	@if command -v npm >/dev/null; then \
	    echo "installing the client libraries of $(NPM_TESTS)"; \
	    (cd $(NPM_TESTS) && npm ci --loglevel=error --no-progress) && touch $@; \
	else echo "npm is missing: its client libraries are not installed"; fi

# The programs that check the chart, from go.sum's digests; checkov in an environment of its own, for it needs a hundred
# packages that nothing else may depend on.
GO_BUILD := GOFLAGS=-buildvcs=false CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o $(CURDIR)/.tools/bin/

.tools/.charts: tools/go/charts/go.mod tools/go/charts/go.sum $(wildcard tools/go/charts/*/*.go)
	@cd tools/go/charts && $(GO_BUILD) ./podsecurity ./chartrender ./ociregistry helm.sh/helm/v3/cmd/helm \
	    github.com/helm-unittest/helm-unittest/cmd/helm-unittest sigs.k8s.io/kustomize/kustomize/v5
	@touch $@

.tools/.checkov: tools/checkov.lock
	@python=$$(tools/python) && "$$python" -m venv .tools/checkov
	@.tools/checkov/bin/python -m pip --quiet --disable-pip-version-check --no-input install --require-hashes -r tools/checkov.lock
	@touch $@

.PHONY: chart-tools
chart-tools: ## the programs that check the chart (helm, kube-score, checkov, ...), into .tools
	@mkdir -p .tools/bin
	@if command -v go >/dev/null; then $(MAKE) -s .tools/.charts && tools/go-tool kube-score; \
	else echo "go is missing: the programs that check the chart are not built"; fi
	@$(MAKE) -s .tools/.checkov

.PHONY: chart-docs
chart-docs: $(RUNTIME) ## write chart/values.schema.json and chart/README.md from the comments in chart/values.yaml
	@$(BIN)/python tools/chart_values.py

.PHONY: k8s
k8s: chart-tools $(RUNTIME) ## write the plain manifests of k8s/ from the chart
	@$(BIN)/python tools/plain_manifests.py

DIST ?= dist

.PHONY: chart-package
chart-package: chart-tools ## dist/auth-service-VERSION.tgz, and with REGISTRY=oci://... push it
	@mkdir -p $(DIST)
	@.tools/bin/helm package chart --destination $(DIST) --version $(VERSION) --app-version $(VERSION) 2>/dev/null
	@test -z "$(REGISTRY)" || .tools/bin/helm push $(DIST)/auth-service-$(VERSION).tgz $(REGISTRY) $(PUSH_ARGS)

.PHONY: client-libraries
client-libraries: $(NPM_TESTS)/node_modules/.package-lock.json

.PHONY: test
test: ## all tests; brings the programs that they need (redis-server, node) where it may
	@$(TIMED) "install" $(MAKE) -s $(DEVELOPMENT)
	@$(TIMED) "programs" $(MAKE) -s programs
	@$(TIMED) "client libraries" $(MAKE) -s client-libraries
	@$(TIMED) "chart tools" $(MAKE) -s -j2 chart-tools
	@$(TIMED) "tests" $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

.PHONY: k6
k6:
	@tools/go-tool k6

.PHONY: slow
slow: $(DEVELOPMENT) programs client-libraries k6 peers ## the tests that take minutes, such as twenty live key rotations
	@$(BIN)/python tools/programs.py install wrk
	@$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

.PHONY: browser
browser: $(DEVELOPMENT) ## the operators' page in a real browser
	@$(BIN)/python tools/programs.py install chromium
	@$(BIN)/python -m pytest -m browser tests/browser $(PYTEST_ARGS)

.PHONY: pictures
pictures: $(DEVELOPMENT) ## the pictures of docs/images that show the operators' page
	@$(BIN)/python tools/programs.py install chromium
	@$(BIN)/python -m tools.pictures

.PHONY: prove
prove: $(DEVELOPMENT) programs ## every fault against real processes under load; writes the table of docs/reliability.md (half an hour)
	@results=$$(mktemp -d); trap 'rm -rf "$$results"' EXIT; \
	PROVE_RESULTS=$$results $(BIN)/python -m pytest -m prove -v -s --tb=short tests/proving $(PYTEST_ARGS) \
	&& { test -n "$(PYTEST_ARGS)" || $(BIN)/python -m tests.proving.page "$$results"; }

.PHONY: live-fire
live-fire: $(DEVELOPMENT) programs ## faults until the alerts fire, with a real Prometheus and Alertmanager; writes the table of docs/operations/alerts.md
	@$(BIN)/python tools/programs.py install prometheus prometheus-alertmanager wrk faketime
	@results=$$(mktemp -d); trap 'rm -rf "$$results"' EXIT; \
	LIVE_FIRE_RESULTS=$$results $(BIN)/python -m pytest -m live_fire -v -s --tb=short tests/livefire $(PYTEST_ARGS) \
	&& { test -n "$(PYTEST_ARGS)" || $(BIN)/python -m tests.livefire.figures "$$results"; }

.PHONY: dashboards-live
dashboards-live: $(DEVELOPMENT) programs k6 ## every query of the dashboards, against a real Prometheus that scrapes the service under load (5 minutes)
	@$(BIN)/python tools/programs.py install prometheus
	@$(BIN)/python -m pytest -m dashboards_live -v -s --tb=short tests/dashboards/live $(PYTEST_ARGS)

.PHONY: dashboard-pictures
dashboard-pictures: $(DEVELOPMENT) programs k6 ## the same, and docs/images/dashboard-*.svg drawn from its answers
	@$(BIN)/python tools/programs.py install prometheus
	@results=$$(mktemp -d); trap 'rm -rf "$$results"' EXIT; \
	DASHBOARD_RESULTS=$$results $(BIN)/python -m pytest -m dashboards_live -v -s --tb=short tests/dashboards/live \
	&& $(BIN)/python -m tools.dashboards.painting "$$results"

.PHONY: runbooks
runbooks: $(DEVELOPMENT) programs ## every command of the runbooks that needs no cluster, on a real service; writes their table
	@results=$$(mktemp -d); trap 'rm -rf "$$results"' EXIT; \
	RUNBOOKS_RESULTS=$$results $(BIN)/python -m pytest tests/runbooks $(PYTEST_ARGS) \
	&& { test -n "$(PYTEST_ARGS)" || $(BIN)/python -m tests.runbooks.kept "$$results" service; }

.PHONY: test-plain
test-plain: $(DEVELOPMENT) programs ## the tests of HTTP, Redis and the stores, with every rollback switch off
	@TEST_PLAIN=1 $(BIN)/python -m pytest tests/http tests/redis tests/conformance $(PYTEST_ARGS)

.PHONY: e2e
e2e: export E2E_IMAGE ?= $(IMAGE)
e2e: $(DEVELOPMENT) ## scenarios on the current kube context's cluster (E2E_IMAGE=..., E2E_LOAD="kind load docker-image")
	@E2E_LOAD="$(E2E_LOAD)" $(BIN)/python -m pytest -m e2e -s $(PYTEST_ARGS)

.PHONY: e2e-publish
e2e-publish: $(RUNTIME) ## write what make e2e measured into docs/reliability.md
	@$(BIN)/python -m tests.e2e.figures

# ------------------------------------------------------------------------------------------------- checks

.PHONY: check
check: ## format, lint, types, imports, known vulnerabilities
	@$(TIMED) "install" $(MAKE) -s $(DEVELOPMENT)
	@failed=; \
	$(TIMED) "format" $(BIN)/ruff format --check . || failed="$$failed format"; \
	$(TIMED) "lint" $(BIN)/ruff check --quiet . || failed="$$failed lint"; \
	$(TIMED) "types" $(BIN)/mypy || failed="$$failed types"; \
	$(TIMED) "imports" $(BIN)/lint-imports || failed="$$failed imports"; \
	$(TIMED) "audit" $(BIN)/python tools/audit.py requirements.lock requirements-dev.lock || failed="$$failed audit"; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

.PHONY: format
format: $(DEVELOPMENT) ## format the code and repair what the linter can repair
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

.PHONY: docs
docs: $(RUNTIME) ## write the pages that are generated from the code (configuration, clients, the README's table)
	@$(BIN)/python -m app config docs
	@PYTHONPATH=. $(BIN)/python tools/metrics_page.py
	@$(BIN)/python tools/alert_pages.py

.PHONY: dashboards
dashboards: $(RUNTIME) ## write dashboards/*.json from their description in tools/dashboards/
	@$(BIN)/python -m tools.dashboards

.PHONY: bench
bench: $(RUNTIME) ## measure the service against a bare server and print the table (minutes; BENCH_ARGS="--rounds 1")
	@$(BIN)/python tools/programs.py install wrk redis-server
	@$(BIN)/python -m benchmarks run $(BENCH_ARGS)

# The peers in environments of their own, from their locks; nothing else may depend on their packages.
.tools/.peer-django: benchmarks/peers/django.lock
	@python=$$(tools/python) && "$$python" -m venv .tools/peer-django
	@.tools/peer-django/bin/python -m pip --quiet --disable-pip-version-check --no-input install --require-hashes -r $<
	@touch $@

PEER_NPM := benchmarks/peers/npm
$(PEER_NPM)/node_modules/.package-lock.json: $(PEER_NPM)/package-lock.json
	@cd $(PEER_NPM) && npm ci --loglevel=error --no-progress
	@touch $@

.PHONY: peers
peers: $(RUNTIME) ## the servers that make bench-peers measures: oidc-provider, django-oauth-toolkit, Ory Hydra (four minutes, once)
	@$(BIN)/python tools/programs.py install wrk node npm
	@mkdir -p .tools
	@$(MAKE) -s .tools/.peer-django $(PEER_NPM)/node_modules/.package-lock.json
	@if command -v go >/dev/null; then tools/go-tool hydra; else echo "go is missing: Ory Hydra is not built"; fi

.PHONY: bench-peers
bench-peers: peers ## measure the service beside those servers in one run
	@$(BIN)/python -m benchmarks run --part peers --json benchmarks/results/peers.json $(BENCH_ARGS)

.PHONY: bench-profile
bench-profile: $(DEVELOPMENT) ## where the microseconds of an introspection go: the table by perf, the flame graph of docs/performance.md by py-spy
	@$(BIN)/python tools/programs.py install wrk perf
	@$(BIN)/python -m benchmarks profile $(BENCH_ARGS)
	@$(BIN)/python -m benchmarks profile --flame-graph $(BENCH_ARGS)

.PHONY: loadtest
loadtest: $(DEVELOPMENT) ## run SCENARIO=smoke (or another of `make loadtest-list`) by k6, here or against BASE_URL=...
	@tools/go-tool k6
	@$(BIN)/python tools/programs.py install redis-server >/dev/null
	@$(BIN)/python -m loadtest run $(or $(SCENARIO),smoke) $(if $(BASE_URL),--url $(BASE_URL))

.PHONY: loadtest-cluster
loadtest-cluster: $(DEVELOPMENT) ## the same as a Job of the chart, in the current kube context (RELEASE=auth-service NAMESPACE=default)
	@tools/go-tool helm
	@PATH="$(CURDIR)/.tools/bin:$$PATH" $(BIN)/python -m loadtest cluster $(or $(SCENARIO),smoke) \
	    --release $(or $(RELEASE),auth-service) --namespace $(or $(NAMESPACE),default) $(LOADTEST_ARGS)

.PHONY: loadtest-list
loadtest-list: $(DEVELOPMENT)
	@$(BIN)/python -m loadtest list

.PHONY: loadtest-sweep
loadtest-sweep: $(DEVELOPMENT) ## every scenario once, in a short form (six minutes)
	@tools/go-tool k6
	@$(BIN)/python tools/programs.py install redis-server >/dev/null
	@$(BIN)/python -m loadtest sweep $(if $(BASE_URL),--url $(BASE_URL))

.PHONY: loadtest-changes
loadtest-changes: $(DEVELOPMENT) ## load during a key rotation, a rollout and a failover of Redis, all made here, seven minutes (DURATION_FACTOR=0.5 for less)
	@$(BIN)/python tools/programs.py install redis-server
	@tools/go-tool k6
	@$(BIN)/python -m loadtest changes $(LOADTEST_ARGS)

.PHONY: loadtest-picture
loadtest-picture: $(DEVELOPMENT)
	@test -n "$(FOLDER)" || { echo "usage: make loadtest-picture FOLDER=build/loadtest/..." >&2; exit 2; }
	@$(BIN)/python tools/programs.py install chromium
	@$(BIN)/python -m loadtest picture $(FOLDER)

.PHONY: loadtest-guide
loadtest-guide: $(DEVELOPMENT) ## the whole performance test with its checklist, about 46 minutes (DURATION_FACTOR=0.1 for less)
	@tools/go-tool k6
	@$(BIN)/python -m loadtest guide $(if $(BASE_URL),--url $(BASE_URL))

.PHONY: capacity-model
capacity-model: $(DEVELOPMENT) ## write the tables and plots of docs/scaling.md (MODEL_ARGS=--measure: from constants measured anew)
	@$(BIN)/python -m loadtest model $(MODEL_ARGS)

.PHONY: soak
soak: $(DEVELOPMENT) ## half an hour of everything at half the maximum; writes its table and plot into docs (SOAK_ARGS="--minutes 2" for less)
	@$(BIN)/python tools/programs.py install wrk
	@$(BIN)/python -m loadtest soak $(or $(SOAK_ARGS),--publish)

.PHONY: bench-compare
bench-compare: $(RUNTIME) ## measure this tree against the commit BASE=...; fails if it is certainly over 10 % slower
	@test -n "$(BASE)" || { echo "usage: make bench-compare BASE=COMMIT" >&2; exit 2; }
	@$(BIN)/python tools/programs.py install wrk redis-server git
	@$(BIN)/python -m benchmarks compare $(BENCH_ARGS) $(BASE)

# In CI: what this tree's steps cost beside those of the last release (without one: of the commit before), never a failure.
# A shared machine can say no more in a minute; the gate is release-check.
LAST_RELEASE = $(shell git describe --tags --abbrev=0 --match 'v*' 2>/dev/null)
REPORT_BASE = $(or $(BASE),$(LAST_RELEASE),$(shell git rev-parse --verify --quiet HEAD^))

.PHONY: bench-report
bench-report: $(RUNTIME) ## the steps of a request beside those of the last release, in about a minute; fails for nothing
	@if test -n "$(REPORT_BASE)"; then \
	    $(BIN)/python -m benchmarks compare --part steps --rounds 6 --report $(REPORT_BASE); \
	else echo "no earlier commit is there to compare with"; fi

# ------------------------------------------------------------------------------------------------- releases

.PHONY: release-check
release-check: ## before a tag: nothing is certainly over 10 % slower than in the last release (or BASE=COMMIT)
	@test -n "$(or $(BASE),$(LAST_RELEASE))" || { echo "no release is tagged here: BASE=COMMIT" >&2; exit 2; }
	@test -z "$$(git status --porcelain)" || { echo "the working tree differs from its commit" >&2; exit 2; }
	@$(MAKE) bench-compare BASE=$(or $(BASE),$(LAST_RELEASE))

UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.PHONY: lock
lock: $(DEVELOPMENT) ## make the lock files anew from pyproject.toml (UPGRADE=1: newest releases within its bounds)
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])' \
	    | $(UV_COMPILE) --output-file requirements-build.lock -
	@$(UV_COMPILE) --output-file requirements.lock --constraint requirements-build.lock pyproject.toml
	@$(UV_COMPILE) --output-file requirements-dev.lock --group dev \
	    --constraint requirements.lock --constraint requirements-build.lock pyproject.toml
	@$(UV_COMPILE) --output-file benchmarks/peers/django.lock benchmarks/peers/django.in
	@git --no-pager diff --stat -- 'requirements*.lock' benchmarks/peers

.PHONY: sbom
sbom: $(DEVELOPMENT) ## dist/auth-service.cdx.json: what the service is made of (CycloneDX)
	@mkdir -p dist
	@$(BIN)/python -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml --mc-type application \
	    --output-reproducible --output-format JSON --output-file dist/auth-service.cdx.json
	@$(BIN)/python -c 'import json, sys; bom = json.load(open(sys.argv[1])); \
	    bom["metadata"]["component"]["version"] = sys.argv[2]; json.dump(bom, open(sys.argv[1], "w"), indent=2)' \
	    dist/auth-service.cdx.json $(VERSION)
	@echo "dist/auth-service.cdx.json"

.PHONY: image
image: ## build the container image (IMAGE=name:tag, PYTHON_IMAGE=base@sha256:..., RELEASE=1) with docker, podman or buildah
	@case "$(RELEASE)/$(PYTHON_IMAGE)" in \
	/*|*/*@sha256:????????????????????????????????????????????????????????????????) ;; \
	*) echo "RELEASE=1: PYTHON_IMAGE must name the base with its digest, such as python:3.11-slim-bookworm@sha256:..." >&2; exit 2;; \
	esac
	@for builder in docker podman buildah; do \
	    command -v $$builder >/dev/null && exec $$builder build --build-arg VERSION=$(VERSION) \
	        --build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null)" \
	        $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) -t $(IMAGE) .; \
	done; echo "none of docker, podman and buildah is on the PATH" >&2; exit 1

.PHONY: image-sbom
image-sbom: ## dist/auth-service-image.cdx.json: what IMAGE is made of, its base's packages included (CycloneDX)
	@mkdir -p dist
	@for runner in docker podman; do \
	    command -v $$runner >/dev/null || continue; \
	    $$runner run --rm -i --network none --entrypoint python $(IMAGE) -I - --name $(IMAGE) $(if $(PYTHON_IMAGE),--base $(PYTHON_IMAGE)) \
	        < tools/image_sbom.py > dist/auth-service-image.cdx.json && echo "dist/auth-service-image.cdx.json"; exit; \
	done; echo "neither docker nor podman is on the PATH; for an unpacked image: tools/image_sbom.py --root" >&2; exit 1

.PHONY: clean
clean: ## remove what the other targets made, .venv included
	@rm -rf $(VENV) dist build $(NPM_TESTS)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
