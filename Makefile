# Every command of the project; the workflows call the same targets. GNU make 3.81 and up.

PYTHON  ?= python3
MODEL   ?= models/sst2-minilm
HOST    ?= 127.0.0.1
BIN     := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install run test test-all fuzz bench check format prepare lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

install: .venv/installed  ## everything into .venv, at the versions of requirements.txt

.venv/installed: pyproject.toml requirements.txt scripts/install
	PYTHON=$(PYTHON) scripts/install dev
	@touch $@ .venv/delivery

.venv/delivery: pyproject.toml requirements.txt scripts/install
	PYTHON=$(PYTHON) scripts/install delivery
	@touch $@

run: install  ## install, prepare the model, serve: API :8000, page :8501, dashboard :8265
	@exec $(BIN)/sentiment run --model "$(MODEL)" --host "$(HOST)"

prepare: install  ## make the folder that replicas load from MODEL (a folder or a hub id)
	$(BIN)/sentiment prepare --model "$(MODEL)"

test: install  ## the suite; no root, no system packages, no well-known port
	$(BIN)/python -m pytest -m "not system and not long"

test-all: install  ## the suite with the tests that need system parts (those that .ci/run installs; root)
	$(BIN)/python -m pytest -m "not long"

fuzz: install  ## 20,000 generated requests against the API's document, some 20 minutes
	SENTIMENT_FUZZ_CASES=20000 $(BIN)/python -m pytest -s tests/integration/test_schemathesis.py

bench: install  ## this service beside the alternatives, some two hours; BENCH="…" for its options
	$(MAKE) prepare MODEL=models/sst2-minilm
	$(BIN)/python -m benchmarks.shapes
	-$(BIN)/python -m benchmarks.venvs
	$(BIN)/python -m benchmarks.bench $(BENCH)
	$(BIN)/python -m benchmarks.report

check: install  ## formatter, linter and types over sources and tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy serve_app kuberay ui training benchmarks tests

format: install  ## let the formatter and the linter mend what they can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: install  ## write requirements.txt from what is installed
	scripts/lock

clean:  ## remove what was installed, prepared and cached
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

# ---- images, manifests, delivery -----------------------------------------------------------------

OVERLAY ?= local
PART    ?= all
.PHONY: image image-try manifests deploy dashboard lint-delivery rehearse

image:  ## both container images, with docker or buildah; MODEL, a hub id or below models/, bakes in another
	MODEL=$(MODEL) scripts/image build serve
	scripts/image build ui

image-try:  ## start both images read-only and without a network, and call them inside
	scripts/image try serve
	scripts/image try ui

manifests: install  ## every overlay into build/manifests, checked; `eks` where its variables are set
	$(BIN)/python -m kuberay.manifests local --output build/manifests/local.yaml
	@if [ -n "$$API_HOST" ]; then \
	    $(BIN)/python -m kuberay.manifests eks --output build/manifests/eks.yaml; fi
	$(BIN)/python -m pytest -q -m "not system" tests/manifests

deploy: .venv/delivery  ## OVERLAY to kubectl's cluster: images SERVE, PAGE; URLs ADDRESS, PAGE_ADDRESS
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m kuberay.deploy $(OVERLAY) --part $(PART) \
	    $(if $(SERVE),--serve "$(SERVE)") $(if $(PAGE),--page "$(PAGE)") \
	    $(if $(ADDRESS),--address "$(ADDRESS)") \
	    $(if $(PAGE_ADDRESS),--page-address "$(PAGE_ADDRESS)")

dashboard:  ## the cluster's Ray dashboard on :8265, and the token that it asks for
	scripts/dashboard

lint-delivery: install  ## workflows, Dockerfile, scripts and YAML
	$(BIN)/python -m pytest -q tests/workflows

rehearse: install  ## the manifests with real processes on several hosts, and all replicas; root
	$(BIN)/python -m pytest -q -s tests/cluster/test_rehearsal.py tests/benchmarks/test_elastic.py
