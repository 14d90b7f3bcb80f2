# Two commands set everything up: `make demo` runs the embedded mock survey, `make test` passes the tests.
# PYTHON: the interpreter that makes the virtual environment. CORES: what a run may use.

PYTHON ?= python3
CORES ?= all
VENV := .venv
READY := $(VENV)/.ready
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

# A run is a preset; `smoke` is every rule of the demo in small, for CI. A kind of survey adds one of both.
KINDS := 4most desi appendices
RUNS := $(foreach size,demo smoke,$(size) $(KINDS:%=$(size)-%))

.PHONY: $(RUNS) test test-slurm lint bench clean
.DEFAULT_GOAL := demo

# On a terminal a progress bar per stage; in a log one line per finished job.
$(RUNS): $(READY)
	@if [ -t 2 ]; then look="--logger rich"; else look="--quiet rules host reason"; fi; \
	$(IN_VENV) snakemake --cores $(CORES) --rerun-incomplete --config preset=$(subst -,_,$@) $$look
	@$(IN_VENV) resurvey where --preset $(subst -,_,$@)

test: $(READY)
	@$(IN_VENV) OMP_NUM_THREADS=1 pytest -n 2 --dist loadgroup tests

# On the Slurm that answers here; tests/slurm/cluster.py starts one. One after another, for they share its node.
SLURM_TESTS ?= tests/slurm
test-slurm: $(READY)
	@$(IN_VENV) OMP_NUM_THREADS=1 pytest -p no:xdist -vv $(SLURM_TESTS)

lint: $(READY)
	@$(IN_VENV) ruff check .
	@$(IN_VENV) ruff format --check .
	@$(IN_VENV) snakefmt --check Snakefile workflow/rules
	@$(IN_VENV) snakemake --lint --config preset=smoke

bench: $(READY)
	@$(IN_VENV) pip install --quiet --constraint pins.txt --editable '.[bench]'
	@$(IN_VENV) python tests/benchmarks/run.py

clean:
	rm -rf $(VENV) .snakemake .pytest_cache .ruff_cache .hypothesis

# The stamp is written last, so an interrupted installation is done again.
$(READY): pins.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Resurvey needs Python 3.11 or newer; this is %s. Name one: make PYTHON=python3.11 …" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (once, about two minutes) …"
	@$(PYTHON) -m venv $(VENV)
	@PYTHONDONTWRITEBYTECODE= $(VENV)/bin/python -m pip install --quiet --constraint pins.txt --editable '.[test]'
	@touch $@
