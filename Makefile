# The commands of a working copy. Each makes .venv as needed and builds again when a source has
# changed: the files .venv/stamp-* remember what was done. Builds nothing by itself; setup.py does.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CYTHON_SOURCES := $(shell find src -name '*.pyx' -o -name '*.pxi' -o -name '*.pxd')
# Whose docstrings users read; the rest has house rules that numpydoc doesn't know.
DOCSTRINGS := $(addprefix src/fastsoftmax/, onnx.py kernels/__init__.py dask/estimators.py \
	$(addprefix functional/, losses.py preprocessing.py probabilities.py updates.py) \
	$(addprefix estimators/, classifier.py cross_validation.py logistic_regression.py \
	logistic_regression_cv.py prediction.py) \
	$(addprefix interchange/, files.py portable.py) \
	$(addprefix displays/, coefficients.py learning_rate.py loss_curve.py))
SOURCES := $(CYTHON_SOURCES) $(shell find src -name '*.h') src/fastsoftmax/kernels/pool.c setup.py \
	pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-threads test-aarch64 fuzz sanitize lint docs bench bench-compare wheels
.PHONY: clean

help:
	@echo "make demo    train on handwritten digits, compare, draw the loss curve; from files too"
	@echo "make test    run the tests on every instruction set this machine has"
	@echo "make test-threads  run tests in eight threads at once, on free-threaded Python too"
	@echo "make test-aarch64  run tests on an emulated Arm; from Debian's packages"
	@echo "make fuzz    throw anything at the public functions and estimators (FUZZ=2000 examples each)"
	@echo "make sanitize  look for wrong reads and writes, undefined behaviour and races in the kernels"
	@echo "make lint    check style, docstrings and types"
	@echo "make docs    the site, in build/docs/html: warnings are errors, internal links are checked"
	@echo "make bench   time against NumPy, PyTorch and scikit-learn, as ratios"
	@echo "make bench-compare BASE=revision  find out whether this has become slower than that"
	@echo "make wheels  build self-contained wheels for Linux, x86-64 and Arm, in dist/"
	@echo "make clean   remove all that was built, .venv included"
	@echo "Another Python than python3: make PYTHON=python3.13 demo"

demo: $(VENV)/stamp-built
	@$(BIN)/python -m fastsoftmax demo

# Two processes; tests/conftest.py says how they share the machine. Ends with what was skipped.
# pytest-benchmark, where `make bench` has brought it, warned before 5.3 that it is idle there.
test: $(VENV)/stamp-test
	@$(BIN)/python -m pytest --numprocesses=2 -p no:benchmark

# Each test is called by eight threads at once. Where Python has a GIL they take turns.
THREADED := $(addprefix tests/test_, estimator.py functional.py at_once.py)
test-threads: $(VENV)/stamp-threads
	@$(BIN)/python -m pytest -p no:benchmark --parallel-threads=8 $(THREADED)

test-aarch64: $(VENV)/stamp-wheels
	@$(BIN)/python packaging/test_aarch64.py

# Examples a test; the seed is new each time, and a failure prints what to call it with.
FUZZ ?= 2000
fuzz: $(VENV)/stamp-test
	@FASTSOFTMAX_FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/test_fuzz.py

# Builds kernels of its own below build/, which nothing else uses.
sanitize: $(VENV)/stamp-test
	@$(BIN)/python tests/sanitize.py

lint: $(VENV)/stamp-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint $(CYTHON_SOURCES)  # it looks for pycodestyle in PATH
	@$(BIN)/mypy
	@$(BIN)/mypy --strict tests/type_checks
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/numpydoc lint $(DOCSTRINGS)
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows \
		$(wildcard .github/workflows/*.yml) > /dev/null
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms \
		$(filter-out %/config.yml, $(wildcard .github/ISSUE_TEMPLATE/*.yml)) > /dev/null
	@$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff > /dev/null

# What Sphinx generates from sources is removed first: a page whose source is gone would stay.
docs: $(VENV)/stamp-docs
	@rm -rf build/docs docs/api docs/gallery
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet \
		--doctree-dir build/docs/doctrees docs build/docs/html
	@$(BIN)/python docs/check_links.py build/docs/html
	@echo "The site is build/docs/html/index.html"

bench: $(VENV)/stamp-bench
	@mkdir -p bench/results
	@$(BIN)/python -m pytest bench -W default --benchmark-json=bench/results/latest.json
	@$(BIN)/python -m bench.report

# Builds that revision below build/compare, and exits with 1 where this is slower.
bench-compare: $(VENV)/stamp-built
	@test -n "$(BASE)" || { echo "Name a revision: make bench-compare BASE=main" >&2; exit 1; }
	@$(BIN)/python -m bench.compare $(BASE)

wheels: $(VENV)/stamp-wheels
	@$(BIN)/python packaging/build_wheels.py
	@$(BIN)/check-wheel-contents dist
	@$(BIN)/twine check --strict dist/*.whl

clean:
	@rm -rf $(VENV) build dist demo-output bench/results docs/api docs/gallery src/*.egg-info
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .benchmarks
	@rm -f src/fastsoftmax/kernels/*.so src/fastsoftmax/kernels/*.c
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/stamp-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "fastsoftmax needs Python 3.11 or newer, and $(PYTHON) isn't that." \
			"Name another: make PYTHON=python3.13" >&2; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# Installed by hand because the build isn't isolated: NumPy and Cython are then fetched only once.
$(VENV)/stamp-requirements: $(VENV)/stamp-python pyproject.toml
	@$(BIN)/python -c 'import tomllib; build = tomllib.load(open("pyproject.toml", "rb")); \
		print(*build["build-system"]["requires"], sep="\n")' > $(VENV)/requirements.txt
	@$(PIP) install --requirement $(VENV)/requirements.txt
	@touch $@

$(VENV)/stamp-built: $(VENV)/stamp-requirements $(SOURCES)
	@echo "Building the kernels"
	@$(PIP) install --no-build-isolation --editable ".[plot,progress,save]"
	@touch $@

# Wheels are built of the sdist, by a compiler of their own: not by what builds kernels here.
$(VENV)/stamp-wheels: $(VENV)/stamp-requirements
	@echo "Installing what 'wheels' needs"
	@$(BIN)/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print(*project["optional-dependencies"]["wheels"], sep="\n")' > $(VENV)/wheels.txt
	@$(PIP) install --requirement $(VENV)/wheels.txt
	@touch $@

# The package itself is there already, so this adds what the extra needs and builds nothing.
$(VENV)/stamp-%: $(VENV)/stamp-built
	@echo "Installing what '$*' needs"
	@$(PIP) install "fastsoftmax[$*]"
	@touch $@
