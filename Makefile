# `make demo` and `make test` need only make and Python 3.11 (or uv, which brings its own).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
SHOP ?=
OUTPUT ?= runs/demo
FLAGS ?=
PORT ?= 8500
REST_PORT ?= 8501
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin

.PHONY: setup demo test lint serve lock
.DEFAULT_GOAL := setup

setup: .venv/.installed

# The lock is complete and its packages' own pins contradict each other: hence --no-deps everywhere.
.venv/.installed: requirements.lock pyproject.toml setup.py
ifneq ($(UV),)
	uv venv --quiet --allow-existing --python 3.11 .venv
	uv pip install --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
	uv pip install --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	touch $@

# The whole path: a shop in (the embedded one unless SHOP is set), a served search out.
demo: setup
	$(BIN)/python tfx_pipeline.py --output $(OUTPUT) $(if $(SHOP),--shop $(SHOP)) $(FLAGS)

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Serves what `make demo` published: gRPC on 8500, REST on 8501.
serve: setup
	$(BIN)/python -m serving.server --port $(PORT) --rest_api_port $(REST_PORT) --model_name vitrine \
	  --model_base_path $(OUTPUT)/bundle/scann

# Only for a change of dependencies; needs uv.
lock:
	uv pip compile pyproject.toml --extra pipeline --group dev --generate-hashes -p 3.11 \
	  -o requirements.lock
