# `make train` trains an agent on random levels for some minutes; its results are in a folder under `runs`.
# `make test` runs the suite, `make test-oldest` its quick part on the oldest jax allowed,
# `make lint` style and types, `make docs` builds the pages into build/docs, with their pictures drawn anew,
# `make notebooks` runs the notebooks and keeps their outputs. Each installs what it needs.
PYTHON ?= python3.11
VENV ?= .venv
OLDEST_JAX = 0.7.0
RUN = $(VENV)/bin/python

# Hand-made levels to be judged on too, where they are at hand.
HAND_MADE = $(wildcard ../shared/kinetix_levels/s)

.PHONY: train test test-slow test-oldest lint example docs notebooks

$(VENV)/installed: pyproject.toml
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --editable '.[test]'
	touch $@

train: $(VENV)/agents
	$(RUN) scripts/train.py hardware=cpu output.name=make_train_$(shell date +%Y-%m-%d_%H-%M-%S) \
		'evaluation.levels=[$(HAND_MADE)]'

$(VENV)/agents: pyproject.toml
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --editable '.[agents]'
	touch $@

test: lint
	$(RUN) -m pytest -n 2 --dist loadfile

test-slow: $(VENV)/installed
	$(RUN) -m pytest -m slow

lint: $(VENV)/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

test-oldest: .venv-oldest/installed
	.venv-oldest/bin/python -m pytest -n 2 --dist loadfile -m 'not slow and not full'

.venv-oldest/installed: pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet 'jax==$(OLDEST_JAX)' 'jaxlib==$(OLDEST_JAX)' --editable '.[test]'
	touch $@

example: $(VENV)/installed
	$(RUN) examples/car_over_ramp.py

docs: $(VENV)/installed
	$(RUN) -m tools.make_docs_pictures
	$(RUN) -m mkdocs build --strict

notebooks: $(VENV)/torch
	$(RUN) -m tools.make_notebooks

$(VENV)/torch: $(VENV)/installed
	$(RUN) -m pip install --quiet --editable '.[test,torch]'
	touch $@
