# Two commands: `make repro` runs everything to the results table, `make test` checks the code.
PYTHON ?= python3
BIN := .venv/bin
# What tests run; the other networks of models/pretrained are fetched when params.yaml names them.
NETWORKS := centernet_mobilenetv3 u2netp efficientnet_lite0 efficientnet_lite1 efficientnet_lite2
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test verify coverage audit experiments format lock

repro: .venv/ready
	@python -m stages.commands.repair_lock
	dvc repro dvc.yaml data/sample/dvc.yaml
	@python -m stages.commands.provenance
	@python -m stages.commands.results

test: .venv/ready
	dvc repro --quiet $(NETWORKS:%=models/pretrained/dvc.yaml:convert@%)
	ruff format --check
	ruff check
	mypy
	pytest -n 2

# The last commit once more from nothing, in a clone with its own environment and cache, compared with what is committed.
verify: .venv/ready
	python -m stages.commands.reproduce

# Lines of stages/ that no test reaches; what runs in processes of its own is counted too.
coverage: .venv/ready
	pytest -n 2 --cov --cov-report=term-missing:skip-covered

# Licences that would bind what is built on this project, then known holes in the locked packages (PyPI is asked).
BINDING := GNU General Public License v3;GNU Affero;AGPL-3.0;GPL-3.0-only;Server Side Public License
audit: .venv/ready
	pip-licenses --partial-match --fail-on="$(BINDING)" --summary
	pip-audit --requirement requirements.lock --disable-pip --no-deps --strict

# The questions of experiments/, each arm with each seed; goes on where it was.
experiments: .venv/ready
	python -m stages.commands.experiment experiments/*.yaml --jobs 2

# The environment: exactly the locked packages, each checked against its hash. The lock file names all of them, so
# pip need not resolve anything; older ones, asked to, take a newer release for `package[extra]` and fail.
.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "expected Python 3.11 or newer, found $$($(PYTHON) --version); try make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv --clear .venv || { echo "expected the venv module; try: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip check
	touch $@

format: .venv/ready
	ruff format
	ruff check --fix

# After a change of pyproject.toml or requirements-gluoncv.in. No index is named in the files, so that any mirror
# serves them.
LOCK := --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade --quiet
lock:
	uv pip compile pyproject.toml --extra dev --universal $(LOCK) -o requirements.lock
	uv pip compile requirements-gluoncv.in $(LOCK) -o requirements-gluoncv.lock
