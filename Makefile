# The only entry point a user needs: `make` alone prints every target.
PYTHON ?= python3
ARGS ?=
HOST := $(filter http%,$(HOST))
VENVS := .venv
PRESET_fast := --pretrain.epochs 2 --propagate.views 1 --finetune.epochs 4
PRESET_ARGS = $(if $(PRESET),$(or $(PRESET_$(PRESET)),$(error there is no PRESET=$(PRESET), only PRESET=fast)))
# NAME and DATA count on the command line alone: systems and shells set such variables for ends of their own.
given = $(findstring command,$(origin $1))
BUNDLE = $(if $(call given,NAME),--model-dir "models/$$NAME")
OWN = $(if $(call given,DATA)$(call given,NAME),own)
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check -c constraints.txt -e

.PHONY: help bundle serve check no-data next own train-export benchmark-accuracy article trials loadtest loadtest-ui compare test test-system faults soak fuzz requirements clean
.DEFAULT_GOAL := help

help: ## print every target with one line each
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Options go in ARGS, for example: make serve ARGS='--port 9000'; ARGS=--help lists them."

bundle: # is there one of this NAME?
	@case "$$NAME" in '' | . | .. | */* | *[[:space:]]*) \
		echo "error: NAME is the name of one folder in models/, without spaces and slashes" >&2; exit 1;; esac; \
	test -f "models/$$NAME/manifest.json" || { \
		echo "error: models/$$NAME holds no manifest.json; these are bundles:" \
		"$$(for one in models/*/manifest.json; do basename "$$(dirname "$$one")"; done | xargs)" >&2; exit 1; }

serve: $(if $(call given,NAME),bundle) $(VENVS)/serve/.ready ## start the service on 127.0.0.1:8000 with the committed model, or models/NAME
	$(VENVS)/serve/bin/python -m serving $(BUNDLE) $(ARGS)

check: $(if $(and $(call given,DATA),$(DATA)),$(VENVS)/dev/.ready,no-data) ## look at pictures and labels before a training: DATA=photos/, a zip or a table of labels
	$(VENVS)/dev/bin/python -m training.check --data "$$DATA" $(ARGS)

no-data:
	@echo "error: say where your pictures are: make $(MAKECMDGOALS) DATA=photos/" >&2; exit 1

next: $(if $(and $(call given,DATA),$(DATA)),$(VENVS)/dev/.ready,no-data) ## choose the pictures whose labels would teach most: DATA=photos/ N=20; with NAME=photos, where there is no label yet, also a bundle that searches
	$(VENVS)/dev/bin/python -m training.own.next --data "$$DATA" $(if $(call given,N),--count "$$N") $(if $(call given,NAME),--name "$$NAME") $(ARGS)

train-export: $(OWN) $(VENVS)/dev/.ready ## train on MNIST with 200 labels and write models/digits/ (PRESET=fast: fewer epochs); DATA=photos/ NAME=photos trains on your pictures
	$(VENVS)/dev/bin/python $(if $(OWN),-m training.own --data "$$DATA" --name "$$NAME",-m training $(PRESET_ARGS)) $(ARGS)

own: # are both given, and is the name free?
	@test -n "$$DATA" || { echo "error: say where your pictures are: make train-export DATA=photos/ NAME=photos" >&2; exit 1; }
	@case "$$NAME" in '' | . | .. | */* | .* | *[[:space:]]*) \
		echo "error: give your model a name without spaces and slashes: make train-export DATA=photos/ NAME=photos" >&2; exit 1;; esac
	@test "$$NAME" != digits || { echo "error: models/digits is the bundle that comes with fewlabel: give another NAME" >&2; exit 1; }
	@test ! -e "models/$$NAME" -o -f "models/$$NAME/manifest.json" || { \
		echo "error: models/$$NAME is a folder that holds no bundle: give another NAME" >&2; exit 1; }

benchmark-accuracy: $(VENVS)/dev/.ready ## repeat the experiments with several seeds and renew the table in training/README.md
	$(VENVS)/dev/bin/python -m training.experiments.benchmark $(ARGS)

article: $(VENVS)/dev/.ready ## run the article's three experiments as its notebook does
	$(VENVS)/dev/bin/python -m training.experiments.reproduce $(ARGS)

trials: $(if $(and $(call given,DATA),$(DATA)),$(VENVS)/dev/.ready,no-data) ## measure trainings on few labels of pictures that are all labelled, several draws: DATA=photos/, a zip or a table of labels
	$(VENVS)/dev/bin/python -m training.experiments.pictures --data "$$DATA" $(if $(call given,NAME),--name "$$NAME") $(ARGS)

loadtest: $(if $(call given,NAME),bundle) $(VENVS)/loadtest/.ready $(if $(HOST),,$(VENVS)/serve/.ready) ## load-test a service started for it (NAME=photos DATA=photos/), or HOST=http://…
	$(VENVS)/loadtest/bin/python -m loadtest $(if $(HOST),--host $(HOST),--server-python $(VENVS)/serve/bin/python) \
		$(BUNDLE) $(if $(call given,DATA),--data "$$DATA") $(ARGS)

loadtest-ui: $(VENVS)/loadtest/.ready ## open Locust's own page; a service must run (HOST=http://127.0.0.1:8000); DATA=photos/ posts your files
	$(if $(call given,DATA),LOADTEST_IMAGES="$$DATA") $(VENVS)/loadtest/bin/locust -f loadtest/locustfile.py --web-host 127.0.0.1 --host $(or $(HOST),http://127.0.0.1:8000) $(ARGS)

compare: $(VENVS)/compare/.ready $(VENVS)/serve/.ready ## measure the service beside other serving frameworks; needs wrk and two cores
	$(VENVS)/compare/bin/python -m loadtest.compare $(ARGS)

test: $(VENVS)/dev/.ready $(VENVS)/test-serving/.ready ## ruff, mypy and the whole suite; the serving tests once more without torch
	$(VENVS)/dev/bin/ruff check .
	$(VENVS)/dev/bin/ruff format --check .
	$(VENVS)/dev/bin/mypy
	$(VENVS)/dev/bin/hadolint Dockerfile
	! $(VENVS)/test-serving/bin/python -c "import torch" 2>/dev/null
	$(VENVS)/test-serving/bin/python -m pytest tests/models tests/serving tests/e2e -p no:cacheprovider
	$(VENVS)/dev/bin/python -m pytest $(ARGS)

test-system: $(VENVS)/test-system/.ready ## the page in Chromium, the HTTP corpus behind haproxy and nginx, and Prometheus; apt installs them where it may
	$(VENVS)/test-system/bin/python -m tests.system.programs
	$(VENVS)/test-system/bin/python -m pytest tests/system -p no:cacheprovider

faults: $(VENVS)/dev/.ready $(VENVS)/test-serving/.ready ## do to a service what hostile clients do, and check every row of the fault table
	$(VENVS)/dev/bin/python -m tests.faults --python $(VENVS)/test-serving/bin/python $(ARGS)

soak: $(VENVS)/dev/.ready $(VENVS)/test-serving/.ready ## load a service for half an hour beside a hostile client; ARGS='--minutes 5'
	$(VENVS)/dev/bin/python -m tests.faults.soak --python $(VENVS)/test-serving/bin/python $(ARGS)

fuzz: $(VENVS)/dev/.ready $(VENVS)/test-serving/.ready ## send damaged uploads, streams and forms by the ten thousand; findings go to runs/fuzz/
	$(VENVS)/dev/bin/python -m tests.fuzz $(ARGS)

requirements: $(VENVS)/dev/.ready ## renew requirements/: what the container image installs, with hashes
	for extra in serve serve-cuda; do echo setuptools | UV_CUSTOM_COMPILE_COMMAND='make $@' \
		$(VENVS)/dev/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --only-binary :all: --generate-hashes \
		--no-annotate -c constraints.txt --extra $$extra --extra postgres -o requirements/$$extra.txt pyproject.toml - >/dev/null || exit; done

clean: ## remove the environments and everything that can be made again, but not data/ or models/
	rm -rf $(VENVS) build *.egg-info .pytest_cache .mypy_cache .ruff_cache

# Each environment is one extra of pyproject.toml, installed again when that or the pinned versions change.
$(VENVS)/%/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "fewlabel needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "installing the extra '$*' into $(@D)"
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python $(PIP_INSTALL) '.[$*]'
	@touch $@
