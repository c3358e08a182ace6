# Two commands from a fresh clone: "make lab" to learn, "make test" to trust.

# The interpreter that makes .venv, and the exact versions put into it (empty: the newest ones).
PYTHON ?= python3
LOCK ?= requirements/ci.txt

# Passed through: make lab LAB_ARGS="--no-browser --port 8890", make test TEST_ARGS="-k delivery".
LAB_ARGS ?=
TEST_ARGS ?= -n 2 --dist loadfile

BIN := .venv/bin
VENV := PYTHON='$(PYTHON)' LOCK='$(LOCK)' sh requirements/venv.sh
# A .venv that was moved, or whose Python is gone, is looked at again whatever its stamps say.
UNSOUND := $(shell [ -x $(BIN)/python ] && grep -qsF "$$(pwd -P)/.venv" $(BIN)/activate || echo look)

.NOTPARALLEL:
.PHONY: help lab test check bench mutants fuzz guests diagrams results lock debian clean look

help:
	@echo 'make lab       JupyterLab on your own copy of the notebooks, in lab/'
	@echo 'make test      every test, the browser journeys and the wheel included'
	@echo 'make check     format, lint, types, import contracts'
	@echo 'make bench     speed, against bare Unicorn in the same run'
	@echo 'make mutants   do the tests notice one-line mistakes?'
	@echo 'make fuzz      a million SDEI calls with everything at random'
	@echo 'make guests    build the bundled guests again'
	@echo 'make diagrams  draw the diagrams again'
	@echo 'make results   make the runs of post-copy that assets/results lacks'
	@echo 'make lock      find the exact versions again: requirements/ci.txt, binder/requirements.txt'
	@echo 'make clean     remove what make built; lab/ is yours and stays'

lab: .venv/lab.stamp
	@$(BIN)/python -m sdeiviz lab lab $(LAB_ARGS)

test: debian .venv/test.stamp
	$(BIN)/python -m pytest $(TEST_ARGS)

check: .venv/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/test.stamp
	$(BIN)/python tests/benchmarks/run.py

mutants: .venv/test.stamp
	$(BIN)/python tests/mutants/run.py
	$(BIN)/python tests/conformance/mutants.py

fuzz: .venv/test.stamp
	$(BIN)/python tests/sdei/fuzz.py

guests: .venv/test.stamp
	$(BIN)/python assets/guests/build.py

diagrams: .venv/test.stamp
	$(BIN)/python -m sdeiviz.views.diagram --write

results: .venv/test.stamp
	$(BIN)/python assets/results/measure.py

lock: .venv/test.stamp
	$(BIN)/python requirements/lock.py

debian:
	@PYTHON='$(PYTHON)' sh requirements/debian.sh

.venv/lab.stamp: pyproject.toml $(LOCK) $(UNSOUND)
	@$(VENV) lab $@

.venv/test.stamp: pyproject.toml $(LOCK) $(UNSOUND)
	@$(VENV) lab,test,guests .venv/lab.stamp $@

clean:
	rm -rf .venv build dist test-results .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -path ./lab -prune -o -name __pycache__ -prune -exec rm -rf {} +
