# make run and make test do all their own set-up in .venv, from requirements.lock.
.PHONY: help run test test-install test-devices test-arm64 fuzz faults soak test-data test-fleet fleet test-ha test-page first-use pictures-page picture-node-red picture-ha test-tflite-runtime test-systemd accuracy bench lint lock lock-train pictures scenes clean chromium photographs
.DEFAULT_GOAL := help
SHELL := /bin/sh

PY := .venv/bin/python
TRASHNET ?= ../shared/trashnet
WEIGHTS ?= ../shared/weights
INPUTS ?= 110000
export TRASHNET

help: ## What there is to make
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 28

run: .venv/ready ## Set up, and show the simulated bin and its page: make run ARGS="--items 12"
	@.venv/bin/trashbin demo $(ARGS)

test: .venv/ready ## Set up, and run lint, unit, contract and daemon tests, with a real Mosquitto
	@broker=$$(.ci/mosquitto) && faketime=$$(.ci/faketime) && $(MAKE) --no-print-directory lint && \
	MOSQUITTO=$$broker LIBFAKETIME=$$faketime $(PY) -m pytest -m "not systemd and not data and not devices and not fleet and not trees and not arm64 and not homeassistant and not page" --ignore tests/bench tests

lint: .venv/ready ## ruff, mypy --strict, and "imports point down only"
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && \
	.venv/bin/mypy && .venv/bin/lint-imports --no-cache

test-data: photographs .venv-train/ready .venv-tflite/ready ## Accuracy and training on the photographs (needs them in ../shared/trashnet, or TRASHNET=DIR)
	@.venv-train/bin/python -m pytest -m data tests/data

test-tflite-runtime: .venv-tflite/ready ## The model room under tflite-runtime 2.14 (Python 3.11)
	@.venv-tflite/bin/python -m pytest tests/model

test-devices: .venv-devices/ready ## The camera on picamera2's own code, servos and lamps on their libraries' (needs libcap-dev)
	@REAL_PICAMERA2=1 .venv-devices/bin/python -m pytest -m "devices or not devices" tests/contract

test-install: .venv/ready ## install.sh in fresh Debian trees, Bookworm and Trixie, booted too, and README's Pi chapter (root)
	@command -v debootstrap >/dev/null || { echo "make test-install needs debootstrap: sudo apt-get install debootstrap" >&2; exit 2; }
	@command -v systemd-nspawn >/dev/null || { echo "make test-install needs systemd-nspawn: sudo apt-get install systemd-container" >&2; exit 2; }
	@[ "$$(id -u)" = 0 ] || { echo "make test-install needs root, for chroot: sudo make test-install" >&2; exit 2; }
	@broker=$$(.ci/mosquitto) && MOSQUITTO=$$broker $(PY) -m pytest -m trees $(ARGS) tests/install

test-arm64: .venv/ready ## The aarch64 build under qemu, Bookworm's Python and Trixie's (needs apt-get)
	@$(PY) -m pytest -m arm64 -s $(ARGS) tests/arm64

test-systemd: .venv/ready ## systemd-analyze verify and security against an installed tree
	@command -v systemd-analyze >/dev/null || { echo "make test-systemd needs systemd-analyze: sudo apt-get install systemd" >&2; exit 2; }
	@$(PY) -m pytest -m systemd tests

test-ha: .venv/ready .venv-ha/ready ## The bin in a real Home Assistant 2025.4.4, restarted in every order (Python 3.13)
	@broker=$$(.ci/mosquitto) && MOSQUITTO=$$broker $(PY) -m pytest -m homeassistant tests/homeassistant

test-page: chromium .venv/page-test ## The page in a real Chromium: items, answers, uploads, 10,000 events, axe-core
	@broker=$$(.ci/mosquitto) && MOSQUITTO=$$broker $(PY) -m pytest -m page $(ARGS) tests/page

test-fleet: chromium .venv/page-test .cache/node-red/ready ## collect and Grafana's queries on a real PostgreSQL, the flow in a real Node-RED
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
	{ echo "make test-fleet needs PostgreSQL: sudo apt-get install postgresql" >&2; exit 2; }
	@broker=$$(.ci/mosquitto) && MOSQUITTO=$$broker $(PY) -m pytest -m fleet tests/fleet

fleet: chromium .venv/page-test ## 1,000 bins on one broker, and the page over them: make fleet ARGS="--bins 200 --minutes 1"
	@broker=$$(.ci/mosquitto) && MOSQUITTO=$$broker $(PY) -m tests.fleet.load $(ARGS)

first-use: chromium .venv/page-test ## Seconds from make run, .venv being there, to a sorted item on the page (needs Chromium)
	@$(PY) -m tests.page.first_use

pictures-page: chromium .venv/page-test ## The page's pictures in README, made anew
	@broker=$$(.ci/mosquitto) && MOSQUITTO=$$broker $(PY) -m tests.page.picture docs

picture-ha: chromium .venv/page-test .venv-ha/ready ## The picture of config/homeassistant, made anew
	@broker=$$(.ci/mosquitto) && MOSQUITTO=$$broker $(PY) -m tests.homeassistant.picture docs/home-assistant.png

picture-node-red: chromium .venv/page-test .cache/node-red/ready ## The picture of config/node-red, made anew
	@broker=$$(.ci/mosquitto) && MOSQUITTO=$$broker $(PY) -m tests.fleet.node_red docs/node-red.png

# What a target may lack is looked for before it fetches or sets up anything.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	{ echo "make $(MAKECMDGOALS) needs Chromium: sudo apt-get install chromium" >&2; exit 2; }

photographs:
	@[ -f "$(TRASHNET)/groups.csv" ] || \
	{ echo "make $(MAKECMDGOALS) needs the TrashNet photographs in $(TRASHNET); set TRASHNET=DIR" >&2; exit 2; }

.venv/page-test: .venv/ready
	@$(PY) -m pip install -q --disable-pip-version-check -e '.[page-test]' && touch $@

.cache/node-red/ready: tests/fleet/node-red/package.json tests/fleet/node-red/package-lock.json
	@command -v npm >/dev/null || { echo "make $(MAKECMDGOALS) needs Node.js 18.5 or newer: sudo apt-get install nodejs npm" >&2; exit 2; }
	@echo "Setting up Node-RED in .cache/node-red (once) ..." && mkdir -p .cache/node-red && cp tests/fleet/node-red/*.json .cache/node-red/ && \
	cd .cache/node-red && npm ci --silent --no-audit --no-fund --ignore-scripts && touch ready

bench: .venv/ready ## Stage times, cold start, an event's cost, and an outage of 10,000 events (needs a quiet machine)
	@broker=$$(.ci/mosquitto) && .venv/bin/trashbin bench --idle 60 $(ARGS) && $(PY) -m pytest --benchmark-only tests/bench && \
	MOSQUITTO=$$broker $(PY) -m tests.bench

fuzz: .venv/ready ## 100,000 damaged inputs: no traceback, no hang, no move (make fuzz INPUTS=5000 ARGS="-k pictures")
	@FUZZ_INPUTS=$(INPUTS) $(PY) -m pytest --hypothesis-profile random $(ARGS) tests/fuzz

faults: .venv/ready ## Kill daemon and broker 500 times each, and break every part: make faults ARGS="--kills 50"
	@broker=$$(.ci/mosquitto) && faketime=$$(.ci/faketime) && MOSQUITTO=$$broker LIBFAKETIME=$$faketime $(PY) -m tests.faults $(ARGS)

soak: .venv/ready ## The simulated bin at full speed for an hour: make soak ARGS="--minutes 5"
	@broker=$$(.ci/mosquitto) && MOSQUITTO=$$broker $(PY) -m tests.soak $(ARGS)

accuracy: .venv/ready ## What README says of the network: rendered scenes, and held-out TrashNet
	@$(PY) -m trashbin.scenes.folders .cache/scenes && .venv/bin/trashbin evaluate --wrong .cache/scenes
	@[ -f "$(TRASHNET)/groups.csv" ] || { echo "the held-out part needs the TrashNet photographs in $(TRASHNET); set TRASHNET=DIR" >&2; exit 2; }
	@rm -rf .cache/test-fold && $(PY) -c "import sys, pathlib; from trashbin.training.data import link_fold; \
	    link_fold(pathlib.Path(sys.argv[1]), 'test', pathlib.Path('.cache/test-fold'))" "$(TRASHNET)" && \
	.venv/bin/trashbin evaluate .cache/test-fold

pictures: .venv/ready ## The README's pictures, made anew
	@$(PY) -m trashbin.scenes.contact docs/scenes.jpg
	@.venv/bin/trashbin demo --items 12 --seed 1 --picture docs/demo.svg

scenes: ## Render the demo's sample scenes again (Blender as a module, in .venv-scenes)
	@test -x .venv-scenes/bin/python || { python=$$(.ci/python) && $$python -m venv .venv-scenes && \
	.venv-scenes/bin/pip install -q bpy==5.0.1 pillow; }
	@.venv-scenes/bin/python -m trashbin.scenes.render $(ARGS)

lock: .venv/ready ## Resolve pyproject.toml anew into requirements*.lock
	@$(PY) -m pip install -q uv
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	    --extra demo --extra dashboard --extra collect --extra dev pyproject.toml .ci/build.in -o requirements.lock
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	    --extra demo --extra dev --extra pi --extra pca9685 --extra hardware-pwm -c requirements.lock pyproject.toml .ci/build.in -o requirements-devices.lock
	@for release in bookworm:3.11 trixie:3.13; do name=$${release%:*}; \
	    .venv/bin/uv pip compile -q --universal --python-version $${release#*:} --generate-hashes --no-header \
	    pyproject.toml .ci/build.in .ci/$$name.in -o requirements-$$name.lock || exit 1; done

lock-train: .venv-train/ready ## Write down what the training environment holds
	@{ echo "# Made by: make lock-train (CPython 3.11, x86-64 Linux). torch itself is installed before, see the Makefile."; \
	.venv-train/bin/python -m pip freeze | grep -v '^torch==\|^-e\|trashbin'; } > requirements-train.lock

.venv/ready: requirements.lock pyproject.toml
	@python=$$(.ci/python) && echo "Setting up .venv (once; a minute or two) ..." && \
	$$python -m venv --clear .venv && \
	$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock && \
	$(PY) -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e . && \
	$(PY) -m compileall -q trashbin && touch $@

.venv-tflite/ready: pyproject.toml
	@python=$$(PYTHON=python3.11 .ci/python) && $$python -m venv --clear .venv-tflite && \
	.venv-tflite/bin/python -m pip install -q --disable-pip-version-check -e '.[tflite-runtime]' pytest hypothesis && \
	.venv-tflite/bin/python -m pip uninstall -q -y ai-edge-litert && touch $@

# python3-prctl, which picamera2 wants, is compiled.
.venv-devices/ready: pyproject.toml requirements-devices.lock
	@[ -f /usr/include/sys/capability.h ] && command -v cc >/dev/null || { \
	echo "make test-devices compiles a part of picamera2: sudo apt-get install libcap-dev gcc python3-dev" >&2; exit 2; }
	@python=$$(.ci/python) && echo "Setting up .venv-devices (once; a minute or two) ..." && \
	$$python -m venv --clear .venv-devices && \
	.venv-devices/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-devices.lock && \
	.venv-devices/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e . && touch $@

# Home Assistant as its users run it; only its tests ever see it.
.venv-ha/ready: .ci/homeassistant.txt
	@python=$$(.ci/python3.13) && echo "Setting up .venv-ha (once; some minutes) ..." && \
	$$python -m venv --clear .venv-ha && \
	.venv-ha/bin/python -m pip install -q --disable-pip-version-check -r .ci/homeassistant.txt && touch $@

# The training environment is gigabytes and needs a CPU build of torch where there is one.
.venv-train/ready: pyproject.toml requirements-train.lock
	@python=$$(PYTHON=python3.11 .ci/python) && echo "Setting up .venv-train (once; some minutes) ..." && \
	$$python -m venv --clear .venv-train && \
	.venv-train/bin/python -m pip install -q --disable-pip-version-check torch==2.13.0 && \
	.venv-train/bin/python -m pip install -q --disable-pip-version-check -r requirements-train.lock && \
	.venv-train/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e . && touch $@

clean: ## Remove every environment and cache
	rm -rf .venv .venv-ha .venv-train .venv-tflite .venv-devices .venv-scenes .cache .mypy_cache .ruff_cache
