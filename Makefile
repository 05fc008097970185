# Every command of the project; the workflows call the same targets. GNU make 3.81 and up.

PYTHON  ?= python3
MODEL   ?= models/sst2-minilm
HOST    ?= 127.0.0.1
BIN     := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install run test test-all fuzz check format prepare lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

install: .venv/installed  ## everything into .venv, at the versions of requirements.lock

.venv/installed: pyproject.toml requirements.lock scripts/install
	PYTHON=$(PYTHON) scripts/install dev
	@touch $@

run: install  ## install, prepare the model, serve: API :8000, page :8501, dashboard :8265
	@exec $(BIN)/sentiment run --model $(MODEL) --host $(HOST)

prepare: install  ## make the folder that replicas load from MODEL (a folder or a hub id)
	$(BIN)/sentiment prepare --model $(MODEL) --output .cache/prepared/$(subst /,--,$(notdir $(MODEL)))

test: install  ## the suite; no root, no system packages, no well-known port
	$(BIN)/python -m pytest -m "not system"

test-all: install  ## the suite with the tests that need system parts (chromium, redis-server, curl, node)
	$(BIN)/python -m pytest

fuzz: install  ## 20,000 generated requests against the API's document, some 20 minutes
	SENTIMENT_FUZZ_CASES=20000 $(BIN)/python -m pytest -s tests/integration/test_schemathesis.py

check: install  ## formatter, linter and types over sources and tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy serve_app ui training tests

format: install  ## let the formatter and the linter mend what they can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: install  ## write requirements.lock from what is installed
	scripts/lock

clean:  ## remove what was installed, prepared and cached
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
