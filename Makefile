# Everything that a machine with Python >= 3.11 and make needs: `make demo`, `make test`, `make check`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check docs format clean

demo: .venv/ready
	$(BIN)/segforge demo

test: .venv/ready-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/static_gate.py segforge
	$(MAKE) docs

docs: .venv/ready-dev
	$(BIN)/sphinx-build -E -W --keep-going -q -b html docs dist/docs
	@echo "The pages are in dist/docs/index.html."

format: .venv/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv demo

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "SegForge needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/ready: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,docs,dicom,onnx,tensorboard]'
	touch $@
