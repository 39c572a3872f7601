# Everything the project needs, on a bare machine with Python >= 3.11 (with venv) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: demo test test-long lint types imports bench lowest clean install

install: $(VENV)/installed
$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "dagmodels needs Python 3.11 or newer"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

demo: install
	$(BIN)/python examples/demo.py

test: install lint types imports
	$(THREADS) $(BIN)/dagmodels warm
	$(THREADS) $(BIN)/python -m pytest -m "not long" --numprocesses=2 --dist=loadfile

test-long: install
	$(THREADS) $(BIN)/python -m pytest -m long

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/pyright

imports: install
	$(BIN)/lint-imports --no-cache

bench: install
	$(THREADS) $(BIN)/python -m benchmarks

# The oldest versions that pyproject.toml admits, in an environment of their own.
lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --upgrade pip uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct --editable '.[test]'
	$(THREADS) .venv-lowest/bin/python -m pytest -m "not long"

clean:
	rm -rf $(VENV) .venv-lowest out .pytest_cache .ruff_cache .hypothesis
