# `make` lists the commands. Two are enough: `make repro` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# What tests run; the other networks of models/pretrained are fetched when params.yaml names them.
NETWORKS := $(addprefix convert@,centernet_mobilenetv3 efficientnet_lite0 efficientnet_lite1 efficientnet_lite2) \
	quantize@u2netp_int8
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Images and CI often set it. Without bytecode each process that imports Keras compiles it anew: 17 s in place of 6 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help repro review advise status test bench verify coverage licences advisories experiments format lock

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

repro: .venv/ready  ## run the whole pipeline to the table of results; go on where a run was stopped
	@python -m stages repair_lock
	python -m stages parallel_repro
	@python -m stages score_sample
	@python -m stages provenance
	@python -m stages results

review: .venv/ready  ## show doubtful photos on a page of this machine, for people to decide about
	@python -m stages review

advise: .venv/ready  ## say in minutes what inputs and backbones are worth on these photos
	@python -m stages repair_lock
	dvc repro mask
	@python -m stages advise

status: .venv/ready  ## name the stages that are not up to date, and why
	@python -m stages status

test: .venv/ready  ## check format, lint and types, run the tests
	dvc repro --quiet $(NETWORKS:%=models/pretrained/dvc.yaml:%)
	ruff format --check
	ruff check
	mypy
	pytest -n 2 --dist loadfile

bench: .venv/ready  ## measure every step beside its alternatives and its bare limits, in half an hour
	dvc repro --quiet $(NETWORKS:%=models/pretrained/dvc.yaml:%)
	python -m benchmarks

# In a clone with its own environment and cache.
verify: .venv/ready  ## run the last commit again from nothing, compare every output with the committed ones
	python -m stages reproduce

# What runs in processes of its own is counted too.
coverage: .venv/ready  ## name the lines of stages/ that no test reaches
	pytest -n 2 --dist loadfile --cov --cov-report=term-missing:skip-covered

BINDING := GNU General Public License v3;GNU Affero;AGPL-3.0;GPL-3.0-only;Server Side Public License
licences: .venv/ready  ## list licences; fail on one that would bind what is built on this project
	pip-licenses --partial-match --fail-on="$(BINDING)" --summary

advisories: .venv/ready  ## ask PyPI for known vulnerabilities of the locked packages
	pip-audit --requirement requirements.lock --disable-pip --no-deps --strict

experiments: .venv/ready  ## run the grids of experiments/, each arm with each seed; go on where a run was stopped
	python -m stages experiment $(filter-out experiments/search%,$(wildcard experiments/*.yaml)) --jobs 2

# The environment: exactly the locked packages, each checked against its hash. The lock file names all of them, so
# nothing is resolved. First come uv, which needs a fraction of pip's time, and what builds packages without a wheel:
# in isolation, pip and uv would build with releases that no hash was asked of. uv does not read pip's settings, so it is
# told pip's index; where that does not suffice, pip installs everything.
PIP := $(BIN)/python -m pip
PIP_INSTALL := $(PIP) install --disable-pip-version-check --no-deps --require-hashes
.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "expected Python 3.11, 3.12 or 3.13, found $$($(PYTHON) --version); try make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv --clear .venv || { echo "expected the venv module; try: apt-get install python3-venv"; exit 1; }
	@echo "installing the packages of requirements.lock into .venv: first uv, then with it the others"
	@awk '/^[a-z]/ {first = /^(uv|setuptools|wheel|packaging)==/} first' requirements.lock > .venv/first.txt
	@$(PIP_INSTALL) -r .venv/first.txt
	@index=$$($(PIP) config list | sed -n "s/^[^=]*\.index-url='\(.*\)'$$/\1/p" | head -n 1); \
	if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}"; fi; \
	$(BIN)/uv pip sync --python $(BIN)/python --no-build-isolation --require-hashes requirements.lock || \
		{ echo "uv failed, see above; now pip installs the packages, in minutes"; \
		$(PIP_INSTALL) --no-build-isolation -r requirements.lock; }
	$(PIP) check
	touch $@

format: .venv/ready  ## format the code and apply the lint fixes
	ruff format
	ruff check --fix

# No index is named in the lock files, so that any mirror serves them.
LOCK := --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade --quiet
lock: .venv/ready  ## lock the packages again after a change of pyproject.toml or requirements-*.in
	uv pip compile pyproject.toml --extra dev --universal $(LOCK) -o requirements.lock
	uv pip compile requirements-gluoncv.in $(LOCK) -o requirements-gluoncv.lock
	uv pip compile requirements-serve.in --universal $(LOCK) -o requirements-serve.lock
