# Needs git, make and Python 3.11 to 3.14. Everything else is put into this folder:
#   .venv     the project, its checks, Meltano and the simulator
#   .meltano  Meltano's own: a virtual environment for the tap and for each target
#   .cache    what only test-warehouses and test-clients need
#   .demo     what the last demo left behind: configuration, logs, state

PYTHON ?= python3
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet

# A file's tests share what is slow to start; more workers than two cores, because tests wait.
IN_WORKERS := -n 4 --dist loadfile --no-loadscope-reorder

export MELTANO_SEND_ANONYMOUS_USAGE_STATS := false
# Where it is set, each of the hundreds of processes that the tests start would compile the tap again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test mutants test-meltano test-warehouses test-schedulers test-clients bench soak docs lint types pytest coverage setup clean pins hashes release-check
.DELETE_ON_ERROR:

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .meltano/installed ## Looker query tasks end to end: simulator, tap, Meltano, PostgreSQL
	@$(BIN)/python -m demo

test: lint types pytest ## everything that must pass: lint, types, tests

bench: .meltano/installed ## how fast, small and steady the tap is, beside other ways
	@$(BIN)/python -m bench

soak: .venv/installed ## end 400 runs at random moments and lines, damage answers and metadata, deliver 20,000 tasks under faults; more generated examples
	@$(BIN)/python -m tests.chaos
	$(BIN)/python -m pytest -q --hypothesis-profile=thorough -o faulthandler_timeout=1800 tests/unit

docs: .venv/installed .venv/docs/installed ## the documentation as a site, in docs/_build; warnings are errors
	@$(BIN)/python -m docs.generate
	@.venv/docs/bin/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build
	@echo "Open docs/_build/index.html"

lint: .venv/installed ## Python, its format, spelling and Markdown
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	git ls-files -z | xargs -0 $(BIN)/codespell
	$(BIN)/rumdl check .

types: .venv/installed ## mypy, strict
	$(BIN)/mypy

pytest: .meltano/installed ## the tests
	$(BIN)/python -m pytest $(IN_WORKERS)

test-meltano: .meltano/installed ## Meltano's own commands: environments, el, state, settings; the tutorial
	$(BIN)/python -m pytest -m meltano

coverage: .meltano/installed ## the tests again, with the branches they cover: at least 95%
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(IN_WORKERS)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

mutants: .venv/mutants/installed ## mutation tests of the pure packages: hours, on one core
	.venv/mutants/bin/mutmut run --max-children 1 $(MUTANTS)

test-warehouses: .meltano/installed ## every type of column into every target, in environments of their own
	$(BIN)/python -m pytest -m warehouses -o faulthandler_timeout=900

test-schedulers: .meltano/installed ## the examples for Airflow, Dagster and Kubernetes, run by them
	$(BIN)/python -m pytest -m schedulers -o faulthandler_timeout=900

test-clients: .venv/installed .cache/node-client/installed .cache/spectacles/installed .cache/gazer/installed ## Looker's clients, Spectacles and gazer, validated by the description that LOOKER_OPENAPI names; needs Node.js and Ruby
	FUZZ_REQUESTS=20000 $(BIN)/python -m pytest -o faulthandler_timeout=900 tests/simulator/test_official_client.py tests/simulator/test_node_client.py tests/simulator/test_filter_grammar.py tests/simulator/test_spectacles.py tests/simulator/test_gazer.py tests/simulator/test_examples.py tests/simulator/test_official_description.py tests/simulator/test_operations.py tests/simulator/test_fuzz.py

release-check: .venv/installed ## all that a release needs but the upload
	@$(BIN)/python -m release

setup: .meltano/installed ## install everything, run nothing

clean: ## remove all that was installed or made
	rm -rf .venv .cache .meltano .demo mutants .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* output dist bench.json docs/_build
	find tap_looker_tasks simulator tests demo bench docs release -name __pycache__ -type d -prune -exec rm -rf {} +

pins: ## write requirements/*.txt anew from the latest releases that fit together
	$(MAKE) hashes UPGRADE=--upgrade
	rm -rf .venv/pins
	$(PYTHON) -m venv .venv/pins/plugins
	.venv/pins/plugins/bin/python -m pip install --quiet --quiet --editable . "$$($(call pip_url,target-postgres))"
	$(call freeze,.venv/pins/plugins,constraints of what Meltano installs) > requirements/plugins.txt
	rm -rf .venv/pins

hashes: .venv/installed ## write into requirements/*.txt what pyproject.toml newly names
	$(compile) --group test --group lint --group demo pyproject.toml simulator/pyproject.toml --output-file requirements/dev.txt
	$(compile) --group pyproject.toml:release --output-file requirements/release.txt
	$(compile) --group pyproject.toml:docs --output-file requirements/docs.txt
	$(compile) --constraint requirements/dev.txt --group pyproject.toml:mutants --output-file requirements/mutants.txt
	$(foreach pins,$(PINNED),$(hash_pins))

# For every Python and platform at once, with the hash of each file, and without a host.
compile = $(BIN)/uv pip compile $(UPGRADE) --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make hashes'
# The environments of examples and warehouses, whose pins are written by hand.
PINNED = $(filter-out $(addprefix requirements/,dev.txt docs.txt mutants.txt release.txt plugins.txt),$(wildcard requirements/*.txt requirements/targets/*.txt))
define hash_pins
{ grep -m 1 '^\#' $(pins); $(BIN)/uv pip compile --quiet --no-deps --python-version 3.11 --generate-hashes --no-annotate --no-header $(pins); } > $(pins).new && mv $(pins).new $(pins)

endef
# Names and versions only: no host, no path, so that they install from whatever index pip is set up with.
freeze  = { echo '\# $(2); written by `make pins`'; $(1)/bin/python -m pip freeze --exclude-editable | grep -xE '[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+'; }
pip_url = sed -n 's/.*pip_url: .* \($(1)==[^ ]*\)$$/\1/p;s/.*pip_url: .* \(meltanolabs-$(1)==[^ ]*\)$$/\1/p' meltano.yml

.venv/installed: requirements/dev.txt pyproject.toml simulator/pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 15) or sys.exit("Python 3.11 to 3.14 is needed, $(PYTHON) is %d.%d: make PYTHON=<another>" % v)'
	@echo "Installing into .venv (half a minute to two minutes, once)"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable . --editable ./simulator
	@touch $@

.venv/docs/installed: .venv/installed requirements/docs.txt
	@echo "Installing what builds the documentation (half a minute, once)"
	@$(PYTHON) -m venv --clear .venv/docs
	@.venv/docs/bin/python -m pip --disable-pip-version-check --quiet --quiet install --require-hashes --requirement requirements/docs.txt
	@touch $@

.venv/mutants/installed: .venv/installed requirements/mutants.txt
	@$(PYTHON) -m venv --clear .venv/mutants
	@.venv/mutants/bin/python -m pip --disable-pip-version-check --quiet --quiet install --require-hashes --requirement requirements/dev.txt
	@.venv/mutants/bin/python -m pip --disable-pip-version-check --quiet --quiet install --require-hashes --requirement requirements/mutants.txt
	@.venv/mutants/bin/python -m pip --disable-pip-version-check --quiet --quiet install --no-deps --no-build-isolation --editable ./simulator
	@touch $@

# Without a lock file, which could name a registry: package.json has the exact release of everything.
.cache/node-client/installed: tests/simulator/node/package.json
	@rm -rf $(@D)
	@mkdir -p $(@D)
	@cp $< $(@D)
	@npm --prefix $(@D) install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

.cache/spectacles/installed:
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip --disable-pip-version-check --quiet install spectacles==2.4.20
	@touch $@

# Its tests are skipped where no gems can be installed.
.cache/gazer/installed:
	@gem install --quiet --no-document --install-dir $(@D) --version '~> 0.3.18' gazer && touch $@ || echo "gazer is not installed: its tests are skipped"

.meltano/installed: .venv/installed requirements/plugins.txt meltano.yml
	@echo "Installing the tap and its targets with Meltano (half a minute, once)"
	@mkdir -p .meltano
	@$(BIN)/meltano --log-level warning install
	@touch $@
