# make demo   install the package, index docs/, search it
# make test   everything that a change must pass
# make quick  lint and the tests of the lower rooms, in under a minute
# make soak   the campaign against faults, for hours; goes on where it was stopped
#
# Needs make, a C compiler and Python 3.11 or newer. `make PYTHON=/path/to/python demo` names one.

DEMO := .venv
TEST := .venv-test

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v "$$python"; break; }; done)

NATIVE := native/CMakeLists.txt $(wildcard native/*.[ch] native/*.inc native/*/*.[ch] native/*/*.inc)
SOURCES := pyproject.toml $(NATIVE) $(shell find retrieval -type f -not -name '*.py[co]' -not -name '*.so')

.DELETE_ON_ERROR:
.PHONY: help demo readme test quick soak lock lint types unit format clean
.PHONY: sanitize sanitize-memory sanitize-threads fuzz

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(DEMO)/.installed
	$(DEMO)/bin/retrieval index docs
	$(DEMO)/bin/retrieval search -k 3 "how does hybrid search fuse the retrievers"
	$(DEMO)/bin/retrieval search -k 2 "what happens to the index if the power fails"
	$(DEMO)/bin/retrieval search -k 2 --retriever lexical --where 'path glob "docs/*.md"' EncoderMismatch

readme:
	@mkdir -p build
	rm -rf .retrieval
	$(MAKE) --no-print-directory demo > build/demo.txt
	$(PYTHON) tests/docs/readme.py < build/demo.txt

# Types and sanitizers have a core to themselves each: two at a time, then the tests on all cores.
test: lint
	$(MAKE) --no-print-directory --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) types sanitize
	$(MAKE) --no-print-directory unit

# Lint, and the tests of what a change of formats, walking, indexes or files touches, on all cores.
# A test that is named at the end took half a second or more: mark it `slow`, or make it faster.
quick: lint
	$(TEST)/bin/python -m pytest -n auto -m "not slow" --durations=5 --durations-min=0.5 tests/documents tests/files tests/indexes tests/service \
		$(wildcard tests/test_*.py)

# MINUTES=90 starts nothing after that; what was done is kept in build/soak.json.
soak: $(TEST)/.installed
	@mkdir -p build
	$(TEST)/bin/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES)) 2> build/soak.log

# The base install by version and checksum, for releases, and whose it is.
lock: $(TEST)/.installed
	uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 \
		--no-header --quiet --output-file requirements.lock
	$(TEST)/bin/python -m tests.docs.notice > NOTICE

lint: $(TEST)/.installed
	$(TEST)/bin/ruff check
	$(TEST)/bin/ruff format --check

types: $(TEST)/.installed
	$(TEST)/bin/mypy

unit: $(TEST)/.installed
	$(TEST)/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# The tests of the compiled modules over builds of them that check addresses and undefined
# behaviour, and races between threads. Leaks are the interpreter's own.
sanitize: sanitize-memory sanitize-threads

ASAN = $(shell $(CC) -print-file-name=libasan.so)
TSAN = $(shell $(CC) -print-file-name=libtsan.so)
KERNEL_TESTS := $(addprefix tests/indexes/kernels/test_,scoring.py selection.py edges.py)
ENCODER_TESTS := tests/encoders/test_compiled.py

ifeq ($(findstring /,$(ASAN)),)
sanitize-memory:
	@echo "$@: skipped, $(CC) has no libasan.so"
else
sanitize-memory: build/address,undefined/.installed
	LD_PRELOAD="$(ASAN)" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		$(TEST)/bin/python tests/sanitized.py $(<D) $(KERNEL_TESTS) $(ENCODER_TESTS)
endif

ifeq ($(findstring /,$(TSAN)),)
sanitize-threads:
	@echo "$@: skipped, $(CC) has no libtsan.so"
else
sanitize-threads: build/thread/.installed
	LD_PRELOAD="$(TSAN)" TSAN_OPTIONS=halt_on_error=1 \
		$(TEST)/bin/python tests/sanitized.py $(<D) -k "threads and not fork" tests/indexes/kernels $(ENCODER_TESTS)
endif

# Coverage-guided fuzzing of the kernels for MINUTES; inputs that reached something new are kept in
# build/fuzz. Needs clang, and atheris in the environment.
ATHERIS = $(shell $(TEST)/bin/python -c "import atheris; print(atheris.path())")
fuzz: build/address,undefined,fuzzer-no-link/.installed
	@mkdir -p build/fuzz
	LD_PRELOAD="$(ATHERIS)/asan_with_fuzzer.so" ASAN_OPTIONS=detect_leaks=0 \
		$(TEST)/bin/python -m tests.soak.fuzz_kernels $(<D) -artifact_prefix=build/ \
		-max_total_time=$$((60 * $(or $(MINUTES),10))) build/fuzz

build/address,undefined,fuzzer-no-link/.installed: export CC = clang
build/%/.installed: $(TEST)/.installed
	rm -rf $(@D)
	$(TEST)/bin/python -m pip install --quiet --no-deps --target $(@D) \
		--config-settings cmake.define.SANITIZE=$* .
	touch $@

format: $(TEST)/.installed
	$(TEST)/bin/ruff check --fix
	$(TEST)/bin/ruff format

clean:
	rm -rf $(DEMO) $(TEST) .retrieval build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(DEMO)/.installed: $(SOURCES) | $(DEMO)/bin/python
	$(DEMO)/bin/python -m pip install --quiet .
	touch $@

$(TEST)/.installed: pyproject.toml constraints.txt $(NATIVE) | $(TEST)/bin/python
	$(TEST)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(DEMO)/bin/python $(TEST)/bin/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer found; name one: make PYTHON=... $(MAKECMDGOALS)" >&2; exit 1; }
	"$(PYTHON)" -m venv $(@D:/bin=)
