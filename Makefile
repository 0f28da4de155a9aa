# make run    set everything up and start the box on ./box, page on http://127.0.0.1:8080
# make test   set everything up and run lint, types and tests
# make bench  set everything up and measure: the ladder and the throughput, tables on the screen, pictures in bench/
# Both need the network only the first time. Fresh Debian 12, Ubuntu 22.04 or 24.04 with Python 3.10 to 3.12.
PYTHON ?= python3
VENV ?= .venv
TRAIN_VENV ?= .venv-train
BENCH_VENV ?= .venv-bench
BOX ?= box
PIP = -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := test
.PHONY: run test test-train bench setup style lock train clean

run: setup
	@echo "Drop pictures into $(BOX)/in; results come to $(BOX)/out. Ctrl-C stops the box."
	@exec $(VENV)/bin/anonbox run --page --box $(BOX)

test: $(VENV)/.dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest -m "not train"

# the network's own tests; torch is large, so it has a virtual environment of its own
test-train: $(TRAIN_VENV)/.train
	$(TRAIN_VENV)/bin/python -m pytest tests/engines

# on a machine that does nothing else; some minutes
bench: $(BENCH_VENV)/.bench
	mkdir -p bench
	$(BENCH_VENV)/bin/anonbox bench throughput --plot bench/throughput.png
	$(BENCH_VENV)/bin/anonbox bench ladder --plot bench/ladder.png

setup: $(VENV)/.box

$(VENV)/.box: requirements/box.lock pyproject.toml
	deploy/system-packages.sh $(PYTHON)
	$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python $(PIP) --require-hashes -r requirements/box.lock
	$(VENV)/bin/python $(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: $(VENV)/.box requirements/dev.lock
	$(VENV)/bin/python $(PIP) --require-hashes -r requirements/dev.lock
	touch $@

$(TRAIN_VENV)/.train: requirements/train.lock pyproject.toml
	deploy/system-packages.sh $(PYTHON)
	$(TRAIN_VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(TRAIN_VENV)
	$(TRAIN_VENV)/bin/python $(PIP) --require-hashes -r requirements/train.lock
	$(TRAIN_VENV)/bin/python $(PIP) torch==2.13.0
	$(TRAIN_VENV)/bin/python $(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(BENCH_VENV)/.bench: requirements/bench.lock pyproject.toml
	deploy/system-packages.sh $(PYTHON) tesseract
	$(BENCH_VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(BENCH_VENV)
	$(BENCH_VENV)/bin/python $(PIP) --no-deps --require-hashes -r requirements/bench.lock
	$(BENCH_VENV)/bin/python $(PIP) torch==2.13.0
	$(BENCH_VENV)/bin/python $(PIP) --no-deps --no-build-isolation -e .
	touch $@

style: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

# resolve the requirements anew, for every supported Python and processor
lock:
	test -x .venv-lock/bin/uv || ($(PYTHON) -m venv .venv-lock && .venv-lock/bin/python $(PIP) uv)
	cd requirements && ../.venv-lock/bin/uv pip compile box.in -o box.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile dev.in -o dev.lock -c box.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile train.in -o train.lock -c dev.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile bench.in -o bench.lock -c train.lock --no-emit-package opencv-python $(LOCK)

LOCK = --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header

clean:
	rm -rf $(VENV) $(TRAIN_VENV) $(BENCH_VENV) .venv-lock .mypy_cache .ruff_cache .pytest_cache *.egg-info
