# make train        trains an agent on random levels for some minutes; results are in a folder under runs/
# make test         style, types and the default suite, whose programs are compiled with little optimization
# make test-all     the same, and the tests that take minutes, compiled as users compile them
# make test-oldest  the default suite on the oldest jax allowed
# make test-newest  the default suite on the newest Python and jax; with pyenv: PYENV_VERSION=3.13.0 make test-newest
# make docs         builds the pages into build/docs, with their pictures drawn anew
# make notebooks    runs the notebooks and keeps their outputs
# make example      runs the example of the engine
# Each installs what it needs into a virtual environment in this folder.
PYTHON ?= python3.11
PYTHON_NEWEST ?= python3.13
VENV ?= .venv
OLDEST_JAX = 0.7.0
RUN = $(VENV)/bin/python
INSTALL = -m pip install --disable-pip-version-check -qq
TEST = -m pytest -n 2 --dist loadfile --no-loadscope-reorder
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax

.PHONY: train test test-all test-oldest test-newest suite lint types example docs notebooks

train: $(VENV)/agents
	$(VENV)/bin/kinetix train hardware=cpu 'evaluation.levels=[library/s]' \
		output.name=make_train_$(shell date +%Y-%m-%d_%H-%M-%S)

test: lint
	$(MAKE) --jobs=2 types suite # at the same time, for two cores

test-all: lint types
	$(RUN) $(TEST) -m ''

suite: $(VENV)/installed
	$(RUN) $(TEST)

lint: $(VENV)/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(VENV)/installed
	$(RUN) -m mypy

test-oldest: .venv-oldest/installed
	.venv-oldest/bin/python $(TEST)

test-newest: .venv-newest/installed
	.venv-newest/bin/python $(TEST)

example: $(VENV)/installed
	$(RUN) examples/car_over_ramp.py

docs: $(VENV)/installed
	$(RUN) -m tools.make_docs_pictures
	$(RUN) -m mkdocs build --strict

notebooks: $(VENV)/torch
	$(RUN) -m tools.make_notebooks

$(RUN):
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(RUN)
	$(RUN) $(INSTALL) --editable '.[test]'
	touch $@

$(VENV)/agents: pyproject.toml | $(RUN)
	$(RUN) $(INSTALL) --editable '.[agents]'
	touch $@

$(VENV)/torch: $(VENV)/installed
	$(RUN) $(INSTALL) --editable '.[test,torch]'
	touch $@

.venv-oldest/installed: pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python $(INSTALL) 'jax==$(OLDEST_JAX)' 'jaxlib==$(OLDEST_JAX)' --editable '.[test]'
	touch $@

.venv-newest/installed: pyproject.toml
	$(PYTHON_NEWEST) -m venv .venv-newest
	.venv-newest/bin/python $(INSTALL) --upgrade --editable '.[test]' jax
	touch $@
