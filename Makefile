# make run    set everything up and start the box on ./box, page on http://127.0.0.1:8080
# make test   set everything up and run lint, types and tests
# make bench  set everything up and measure: the ladder and the throughput, tables on the screen, pictures in bench/
# Both need the network only the first time. Fresh Debian 12, Ubuntu 22.04 or 24.04 with Python 3.10 to 3.12.
PYTHON ?= python3
VENV ?= .venv
TRAIN_VENV ?= .venv-train
BENCH_VENV ?= .venv-bench
BOX ?= box
CUDA ?= /usr/local/cuda
PIP = -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := test
.PHONY: run test check docs test-train test-page test-vm test-arm64 bench setup install uninstall bundle jetson style lock fonts train clean

run: setup
	@echo "Drop pictures into $(BOX)/in; results come to $(BOX)/out. Ctrl-C stops the box."
	@exec $(VENV)/bin/anonbox run --page --box $(BOX)

test: $(VENV)/.dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest -m "not train and not browser and not vm and not arm64"

# the quick part of it: before every commit
check: $(VENV)/.dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest -q -m "not slow and not train and not browser and not vm and not arm64"

# what the documents take from the program
docs: $(VENV)/.dev
	$(VENV)/bin/python deploy/docs/generate.py

# the network's own tests; torch is large, so it has a virtual environment of its own
test-train: $(TRAIN_VENV)/.train
	$(TRAIN_VENV)/bin/python -m pytest tests/engines

# the page in a real browser, every state on a phone, a desk and a wall, with axe-core; pictures of it go to runs/page
test-page: $(VENV)/.page
	$(VENV)/bin/pytest -m browser tests/page

# a whole machine in QEMU, with the box put there by its own installer; as root, some 35 minutes on two cores
test-vm: $(VENV)/.vm
	tests/vm/image.sh build/vm $(VENV)/bin/python
	tests/vm/updates.sh build/vm $(VENV)/bin/python
	$(VENV)/bin/pytest -m vm -x tests/vm

# an arm64 machine in QEMU, which no test has without one; as root, an hour or two on two cores
test-arm64: $(VENV)/.dev
	for tool in mmdebstrap qemu-system-aarch64 qemu-aarch64-static qemu-img ssh; do command -v $$tool >/dev/null || missing=yes; done; \
	[ -z "$$missing" ] || (apt-get update -qq && apt-get install -y -qq --no-install-recommends \
		mmdebstrap qemu-system-arm qemu-user-static qemu-utils ipxe-qemu openssh-client </dev/null)
	tests/vm/arm64.sh build/arm64
	$(VENV)/bin/pytest -m arm64 tests/vm

# this machine becomes a box, or gets this version; what is there already stays (deploy/install.sh, deploy/uninstall.sh)
install:
	deploy/install.sh $(INSTALL)
uninstall:
	deploy/uninstall.sh $(UNINSTALL)

# everything for boxes without internet, in dist/; SIGN=KEY signs it as an update; VIDEO=no leaves out films, and with them the GPL encoders
bundle:
	deploy/bundle.sh $(if $(SIGN),--sign $(SIGN)) $(if $(filter no,$(VIDEO)),--no-video) dist

# on a machine that does nothing else; some minutes
bench: $(BENCH_VENV)/.bench
	mkdir -p bench
	$(BENCH_VENV)/bin/anonbox bench throughput --plot bench/throughput.png
	$(BENCH_VENV)/bin/python -m engines.bench --plot bench/ladder.png

setup: $(VENV)/.box

$(VENV)/.box: requirements/box.lock requirements/video.lock pyproject.toml appliance/formats/coefficients.c
	deploy/system-packages.sh $(PYTHON) compiler
	$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python $(PIP) --require-hashes -r requirements/box.lock
	[ "$(VIDEO)" = no ] || $(VENV)/bin/python $(PIP) --require-hashes -r requirements/video.lock
	$(VENV)/bin/python $(PIP) --no-deps --no-build-isolation -e .
	touch $@

# on a Jetson, once: an environment that sees JetPack's TensorRT, and pycuda built for JetPack's CUDA, which takes minutes
jetson: $(VENV)/.jetson

$(VENV)/.jetson: requirements/jetson.lock
	@test -x $(CUDA)/bin/nvcc || { echo "no $(CUDA)/bin/nvcc: apt-get install nvidia-jetpack, or name CUDA=" >&2; exit 1; }
	deploy/system-packages.sh $(PYTHON) compiler pycuda
	grep -qs "include-system-site-packages = true" $(VENV)/pyvenv.cfg || $(PYTHON) -m venv --clear --system-site-packages $(VENV)
	$(MAKE) setup
	PATH=$(CUDA)/bin:$$PATH CUDA_ROOT=$(CUDA) $(VENV)/bin/python $(PIP) --require-hashes -r requirements/jetson.lock
	touch $@

$(VENV)/.dev: $(VENV)/.box requirements/dev.lock
	$(VENV)/bin/python $(PIP) --require-hashes -r requirements/dev.lock
	touch $@

$(VENV)/.page: $(VENV)/.dev requirements/page.lock tests/page/package-lock.json deploy/browser.sh deploy/node-packages.sh
	$(VENV)/bin/python $(PIP) --require-hashes -r requirements/page.lock
	deploy/browser.sh $(VENV)/page
	touch $@

$(VENV)/.vm: $(VENV)/.dev requirements/vm.lock
	for tool in mmdebstrap qemu-system-x86_64 qemu-img mkfs.vfat mkfs.exfat sfdisk mcopy smbclient ssh; do command -v $$tool >/dev/null || missing=yes; done; \
	[ -z "$$missing" ] || (apt-get update -qq && apt-get install -y -qq --no-install-recommends \
		mmdebstrap qemu-system-x86 qemu-utils dosfstools exfatprogs fdisk mtools smbclient openssh-client </dev/null)
	$(VENV)/bin/python $(PIP) --require-hashes -r requirements/vm.lock
	touch $@

$(TRAIN_VENV)/.train: requirements/train.lock pyproject.toml
	deploy/system-packages.sh $(PYTHON) compiler
	$(TRAIN_VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(TRAIN_VENV)
	$(TRAIN_VENV)/bin/python $(PIP) --require-hashes -r requirements/train.lock
	$(TRAIN_VENV)/bin/python $(PIP) torch==2.13.0
	$(TRAIN_VENV)/bin/python $(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(BENCH_VENV)/.bench: requirements/bench.lock pyproject.toml appliance/formats/coefficients.c
	deploy/system-packages.sh $(PYTHON) compiler tesseract
	$(BENCH_VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(BENCH_VENV)
	$(BENCH_VENV)/bin/python $(PIP) --no-deps --require-hashes -r requirements/bench.lock
	$(BENCH_VENV)/bin/python $(PIP) torch==2.13.0
	$(BENCH_VENV)/bin/python $(PIP) --no-deps --no-build-isolation -e .
	touch $@

# the faces the training draws with, from Debian and Fontsource
fonts: runs/fonts/.fonts
runs/fonts/.fonts: deploy/fonts.sh deploy/node-packages.sh engines/fonts/package-lock.json
	deploy/fonts.sh runs/fonts
	touch $@

# The network from nothing, about an hour and a half on two cores; started again it goes on. All folders are optional:
#   make train FRAMES=endoscopic-frames-without-text PHOTOS=photographs-without-text SCENE_TEXT=icdar2015-with-images-and-gt
# Without SCENE_TEXT it begins with the overlays.
TRAIN = $(TRAIN_VENV)/bin/python -m engines.train --fonts runs/fonts --fonts /usr/share/fonts $(FRAMES:%=--frames %) $(PHOTOS:%=--photos %)
train: $(TRAIN_VENV)/.train fonts
ifdef SCENE_TEXT
	$(TRAIN) --recipe engines/recipes/general.toml --out runs/general --scene-text $(SCENE_TEXT)
	$(TRAIN) --recipe engines/recipes/augmented.toml --out runs/augmented --scene-text $(SCENE_TEXT) --start runs/general/checkpoint.pt
endif
	$(TRAIN) --recipe engines/recipes/overlays.toml --out runs/overlays $(if $(SCENE_TEXT),--start runs/augmented/checkpoint.pt)
	$(TRAIN_VENV)/bin/python -m engines.export runs/overlays/checkpoint.pt --out runs/weights

style: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

# resolve the requirements anew, for every supported Python and processor
lock:
	test -x .venv-lock/bin/uv || ($(PYTHON) -m venv .venv-lock && .venv-lock/bin/python $(PIP) uv)
	cd requirements && ../.venv-lock/bin/uv pip compile box.in -o box.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile video.in -o video.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile dev.in -o dev.lock -c box.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile bundle.in -o bundle.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile jetson.in -o jetson.lock -c box.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile train.in -o train.lock -c dev.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile page.in -o page.lock -c dev.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile vm.in -o vm.lock -c train.lock $(LOCK)
	cd requirements && ../.venv-lock/bin/uv pip compile bench.in -o bench.lock -c train.lock --no-emit-package opencv-python $(LOCK)

LOCK = --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header

clean:
	rm -rf $(VENV) $(TRAIN_VENV) $(BENCH_VENV) .venv-lock .mypy_cache .ruff_cache .pytest_cache *.egg-info build appliance/formats/*.so
