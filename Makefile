# Everything a checkout needs. A fresh machine needs Python >= 3.11, git and make.
#   make run     install into .venv, then run holdfast
#   make test    install into .venv, then run the tests
# Another interpreter: make test PYTHON=python3.13      Arguments: make run ARGS="sessions --json"

PYTHON ?= python3
ARGS   ?=
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test thorough lint types contract redaction redos kill-sweep tamper simfs power-cut errno-matrix tail-histories tail-soak recover-drill supervise-drill definition-sweep definition-drill real-clients hook-faults fuzz bench lock clean

help:
	@sed -n '2,5s/^# *//p' Makefile
	@echo "Also: thorough, lint, types, contract, redaction, kill-sweep, tamper, simfs, power-cut, errno-matrix, tail-histories, tail-soak, recover-drill, supervise-drill, definition-sweep, definition-drill, real-clients, hook-faults, bench, lock, clean"

# ── the environment: each stamp is made once and again only when its inputs change ──────────────

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { echo "'$(PYTHON)' was not found. Holdfast needs Python 3.11 or newer; name yours with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Holdfast needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name a newer one with: make PYTHON=/path/to/python3")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments; install its venv package (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# The package is installed editable: a changed source file needs no new install.
$(VENV)/.run: $(VENV)/.created requirements-run.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements-run.lock
	$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements.lock
	$(PIP) install --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) install --editable '.[bench]'
	@touch $@

# ── what to do with it ──────────────────────────────────────────────────────────────────────────

run: $(VENV)/.run
	@$(BIN)/holdfast $(ARGS)

# two for each processor, of few: tests wait for processes longer than they compute
CORES = $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
JOBS = $$(c=$(CORES); echo $$((c > 8 ? c : c > 4 ? 8 : c * 2)))

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/mypy --strict tests/typing/api.py

contract: $(VENV)/.dev
	$(BIN)/lint-imports

# What the redaction engine earns on the labelled corpora. ARGS="--seeds 1 2 3 --faults"
# Every rule against fields of 200,000 characters made to be hard on it.
# The whole suite, with all that the suite itself repeats less often
thorough: $(VENV)/.dev
	HOLDFAST_TEST_THOROUGH=1 $(BIN)/python -m pytest -q -n auto --dist worksteal $(ARGS)

redos: $(VENV)/.dev
	HOLDFAST_TEST_THOROUGH=1 HOLDFAST_TEST_FIELD_CHARS=200000 $(BIN)/python -m pytest tests/redact/test_redos.py $(ARGS)

redaction: $(VENV)/.dev
	@$(BIN)/python -m tests.redact.examine $(ARGS)

# Kill the writer at every write-side system call, start it again, and look. Linux, needs strace.
kill-sweep: $(VENV)/.dev
	$(BIN)/python -m tests.crash.sweep $(ARGS)

# Change sealed history in 1,000 random ways; `journal verify` must find each one.
tamper: $(VENV)/.dev
	HOLDFAST_TEST_TAMPERINGS=1000 $(BIN)/python -m pytest -q -s tests/journal/test_verify.py $(ARGS)

# 100,000 states that a power cut may leave, of each protocol, and the mistakes that must be found out. Minutes.
simfs: $(VENV)/.dev
	nice $(BIN)/python -m tests.crash.simfs $(ARGS)

# Cut the power of a file system in an image under a process that records. Linux, needs root.
# ARGS="--trials 200 --fs xfs"
power-cut: $(VENV)/.dev
	nice $(BIN)/python -m tests.crash.powercut $(ARGS)

# Refuse each call that writes or opens, with each error; whole resources too. Linux, needs strace.
errno-matrix: $(VENV)/.dev
	nice $(BIN)/python -m tests.crash.errnos $(ARGS)

# 1,000 random histories of logs, and what must come out of each. ARGS="--seed 1 --in /dev/shm --reader inode"
tail-histories: $(VENV)/.dev
	nice $(BIN)/python -m tests.monitor.histories --rounds 1000 $(ARGS)

# Kill the tailing adapter 500 times while a writer writes and rotates. ARGS="--seed 1 --in /dev/shm --reader apart"
tail-soak: $(VENV)/.dev
	nice $(BIN)/python -m tests.monitor.soak --kills 500 $(ARGS)

# Kill agents, and the service that watches them, in 200 trials; `holdfast recover` must tell the truth in each. Linux, minutes.
# ARGS="--trials 1000 --seed 1"
recover-drill: $(VENV)/.dev
	nice $(BIN)/python -m tests.e2e.drill $(ARGS)

# Kill supervisors, shims and agents, 2,000 of them; each must be started once, and its end be known. Linux, minutes.
# ARGS="--agents 10000 --seed 1 --scene spawning"
supervise-drill: $(VENV)/.dev
	nice $(BIN)/python -m tests.e2e.supervise_drill $(ARGS)

# Kill the command at every system call of each act that writes definitions. Linux, needs strace. ARGS="--only put --list"
definition-sweep: $(VENV)/.dev
	nice $(BIN)/python -m tests.crash.definitions $(ARGS)

# A checkout of 1,000 definitions, and 20,000 files that are made while the service stands still: none is missed. Linux, minutes.
definition-drill: $(VENV)/.dev
	HOLDFAST_TEST_DEFINITION_BURST=1000 HOLDFAST_TEST_DEFINITION_FLOOD=20000 \
	  nice $(BIN)/python -m pytest -q tests/e2e/test_definition_watch.py $(ARGS)

# The real Claude Code, which the wheel of its SDK carries, and, where there is npm, the real Codex, against scripted models, where
# nothing else can be reached. Linux.
# Other ones, after `make clean`: make real-clients CLIENT=claude-agent-sdk==0.2.187      One scene: ARGS="-k sigkill"
CLIENT ?= claude-agent-sdk
CODEX  ?= @openai/codex
build/real-clients/.made:
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check --quiet install '$(CLIENT)'
	@if command -v npm >/dev/null; then npm install --silent --prefix $(@D) '$(CODEX)'; \
	  else echo "there is no npm, so tests with Codex are left out" >&2; fi
	@touch $@

real-clients: $(VENV)/.dev build/real-clients/.made
	$(BIN)/python -m tests.real -q $(ARGS)

# The installed hook where everything is wrong, 10,000 times each. Linux, needs root for the full disk.
hook-faults: $(VENV)/.dev
	nice $(BIN)/python -m tests.crash.hook_faults $(ARGS)

fuzz: $(VENV)/.dev
	@test -d tests/fuzz || { echo "there is no tests/fuzz yet" >&2; exit 1; }
	$(BIN)/python -m pytest -q tests/fuzz $(ARGS)

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(ARGS)

# Renew the locks after a change of dependencies; needs `uv`. For one lock that fits Python 3.11 to 3.13.
COMPILE = uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
          --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
lock:
	$(COMPILE) --extra dev --upgrade --output-file requirements.lock
	$(COMPILE) --constraints requirements.lock --output-file requirements-run.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
