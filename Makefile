# `make demo` and `make test` need only make and Python 3.11 (or uv, which brings its own).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
SHOP ?=
OUTPUT ?= runs/demo
FLAGS ?=
PORT ?= 8500
REST_PORT ?= 8501
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
COMPILE := uv pip compile --quiet --generate-hashes -p 3.11

# What the base brings and a server does not load: an override that never applies leaves a package out of a lock, and
# what it alone brings. Without ScaNN only the stock flavour can be served.
NOT_SERVED := bm25s keras-nlp py3langid pystemmer safetensors setuptools simplemma tensorboard tensorflow-recommenders

.PHONY: help setup demo serve test-fast test test-extended docs dist lint lock
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

setup: .venv/.installed ## create .venv from requirements.lock

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
demo: setup ## the whole pipeline on a demo shop (SHOP=DIR: your own) into runs/demo (OUTPUT=DIR)
	$(BIN)/python tfx_pipeline.py --output $(OUTPUT) $(if $(SHOP),--shop $(SHOP)) $(FLAGS)

serve: setup ## serve what `make demo` published: gRPC on 8500 (PORT), REST and a page to search with on 8501 (REST_PORT)
	$(BIN)/python -m serving.server --port $(PORT) --rest_api_port $(REST_PORT) --model_name vitrine \
	  --model_base_path $(OUTPUT)/bundle/scann --ui --ui_media $(or $(SHOP),$(OUTPUT)/demo_shop)

test-fast: setup ## the quick tests
	$(PYTEST) -m "not slow and not e2e and not extended"

test: setup ## every test but the extended ones, about 30 minutes on 2 cores
	$(PYTEST) -m "not extended"

test-extended: setup ## kills, floods, long fuzz and the documents' commands, an hour or more
	$(PYTEST) -m extended

docs: setup ## build the site of the pages into build/site; a broken link or a page outside the menu is an error
	$(BIN)/mkdocs build --strict --quiet -f .mkdocs.yml -d build/site

dist: setup ## build dist/: source distribution and wheel of vitrine-search, wheel of vitrine-client
	$(BIN)/python setup.py --quiet sdist bdist_wheel
	rm -rf build/client && cp -r serving/client build/client && cp LICENSE build/client
	cd build/client && ../../$(BIN)/python -c "import setuptools.build_meta as b; b.build_wheel('../../dist')"

lint: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: ## compile the locks again after a change of dependencies; needs uv
	$(COMPILE) pyproject.toml --extra pipeline --extra serve --extra completion --extra databases --group dev -o requirements.lock
	for name in $(NOT_SERVED); do echo "$$name ; sys_platform == 'never'"; done \
	  | $(COMPILE) pyproject.toml --extra serve -c requirements.lock --overrides - -o requirements-serve.lock
	for name in $(NOT_SERVED) scann; do echo "$$name ; sys_platform == 'never'"; done \
	  | $(COMPILE) pyproject.toml --extra serve -c requirements.lock --overrides - -o requirements-serve-stock.lock
