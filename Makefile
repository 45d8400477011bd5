# Every target makes .venv itself when it is missing or older than what it is made from.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help render evaluate test test-all test-faults test-ui check lint types fuzz chaos soak parity bench proof rehearsal setup docs lock clean evaluate-sketch evaluate-lite train-sketch train-lite train-portrait-decoder train-bundle

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do $$p $(NEW_ENOUGH) 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/ready
DEV := .venv/dev
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt

export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false
# pip compiles nothing, because a tenth of all packages is imported: Python keeps what it compiles.
unexport PYTHONDONTWRITEBYTECODE

help:  ## list the targets
	@while IFS= read -r line; do \
		if [[ $$line =~ ^([a-z-]+):.*\#\#\ (.*) ]]; then printf '%-24s%s\n' "$${BASH_REMATCH[@]:1}"; fi; \
	done < Makefile

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "sonic-render needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "installing into .venv what a render needs (once; a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(INSTALL) -e .
	@touch $@

$(DEV): $(READY)
	@echo "installing the developers' tools into .venv (once; a minute)"
	@$(INSTALL) -e '.[dev]'
	@touch $@

setup: $(DEV)  ## create .venv with the developers' tools

render: $(READY)  ## render a manifest: make render INPUT=examples/manifest.parquet [PRESET=lite] [OUTPUT=folder] [PREVIEW=1 or only]
	@test -n "$(INPUT)" || { echo "usage: make render INPUT=manifest.parquet [PRESET=lite] [OUTPUT=folder] [PREVIEW=1 or only]" >&2; exit 2; }
	@$(BIN)/sonic render "$(INPUT)" $(if $(PRESET),--preset "$(PRESET)") $(if $(OUTPUT),--output "$(OUTPUT)") \
		$(if $(PREVIEW),--preview$(if $(filter only,$(PREVIEW)),-only))

evaluate: $(READY)  ## measure the videos of a results table or manifest: make evaluate INPUT=results.parquet [SYNCNET=syncnet_v2.model]
	@test -n "$(INPUT)" || { echo "usage: make evaluate INPUT=manifest.results.parquet [SYNCNET=syncnet_v2.model]" >&2; exit 2; }
	@$(BIN)/sonic report "$(INPUT)" $(if $(SYNCNET),--syncnet "$(SYNCNET)")

# One more than there are cores, since half of the time of some tests is waiting.
TEST_JOBS ?= $(shell n=$$(nproc); echo $$((n < 3 ? n + 1 : 4)))

test: $(DEV)  ## run the tests: make test [TEST_JOBS=2]
	@$(BIN)/python -m pytest -n $(TEST_JOBS)

test-all: $(DEV)  ## run every test that needs no browser, including slow and fault tests
	@$(BIN)/python -m pytest -n $(TEST_JOBS) -m "not repeat and not ui"

test-faults: $(DEV)  ## run all fault tests: killed and stopped processes, full disks, lost packets
	@$(BIN)/python -m pytest tests/faults -m ""

UI_READY := .venv/ui
# The extra `demo` without its dependencies: by its metadata gradio takes no Pillow 13, and it works with it.
GRADIO := gradio gradio-client groovy hf-gradio pandas pydub python-multipart safehttpx semantic-version tomlkit

$(UI_READY): $(DEV)
	@echo "installing a browser into .venv (once; 70 MB)"
	@$(INSTALL) -e '.[dev,ui]'
	@$(INSTALL) --no-deps $(GRADIO)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.ui.chromium
	@touch $@

test-ui: $(UI_READY)  ## test reports in a browser and deployments on a Prefect server
	@$(BIN)/python -m pytest tests -m ui

check: lint types  ## check style, types and import rules

lint: $(DEV)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports

types: $(DEV)
	@$(BIN)/mypy sonic_ops cluster flows training tests

fuzz: $(DEV)  ## read files that are nearly right, and say what breaks: make fuzz [KIND=csv] [COUNT=300] [SEED=0]
	@$(BIN)/python -m tests.fuzz --kind "$(KIND)" --count "$(or $(COUNT),300)" --seed "$(or $(SEED),0)"

chaos: $(DEV)  ## render on three nodes and an object store while everything fails: make chaos [MINUTES=5 of each seed] [SEED="0"] [WRITE=1]
	@$(BIN)/python -m tests.faults.chaos --minutes "$(or $(MINUTES),5)" --seeds $(or $(SEED),0) $(if $(WRITE),--write)

soak: $(DEV)  ## render many rows while workers are killed, and see what the processes hold: make soak [MINUTES=10] [SEED=0] [WRITE=1]
	@$(BIN)/python -m tests.bench.soak --minutes "$(or $(MINUTES),10)" --seed "$(or $(SEED),0)" $(if $(WRITE),--write)

parity: $(DEV)  ## compare with golden cases of the released model: make parity [CASES=folder]
	@$(BIN)/python -m tests.parity "$(or $(CASES),tests/golden/parity)"

bench: $(DEV)  ## measure speed against the released pipeline, and write tests/bench/RESULTS.md
	@$(BIN)/python -m tests.bench

proof: $(DEV)  ## render and measure ten minutes in four modes, and write tests/bench/RESULTS.md (an hour): make proof [WORK=folder] [RECORDINGS=folder] [SECONDS=60: writes nothing]
	@$(BIN)/python -m tests.bench.ten_minutes --work "$(or $(WORK),runs/proof)" \
		$(if $(RECORDINGS),--recordings "$(RECORDINGS)") $(if $(SECONDS),--seconds $(SECONDS),--write)

rehearsal: $(DEV)  ## fetch, convert, check and render `sonic` at full size with random weights (20 GB of disk, removed): make rehearsal [WORK=folder] [DTYPE=auto] [KEEP=1] [WRITE=1]
	@$(BIN)/python -m tests.bench.rehearsal --work "$(or $(WORK),runs/rehearsal)" --dtype "$(or $(DTYPE),auto)" \
		$(if $(KEEP),--keep) $(if $(WRITE),--write)

train-sketch: $(DEV)  ## train and measure the model `sketch`: make train-sketch [BUDGET_MIN=100] [OUT=folder] [FROM=package:sketch]
	@$(BIN)/python -m training.train "$(or $(OUT),runs/sketch)" --budget-min $(or $(BUDGET_MIN),100) $(if $(FROM),--from "$(FROM)")

train-lite: $(DEV)  ## train the UNet of `lite` further on drawings and rendered heads: make train-lite [BUDGET_MIN=60] [OUT=folder] [FROM=package:lite]
	@$(BIN)/python -m training "$(or $(OUT),runs/lite)" --from "$(or $(FROM),package:lite)" --budget-min $(or $(BUDGET_MIN),60) \
		--processes 1 --image-shards 0 --window-shards 2 --head-shards 6 --shares guided=1 --guided-rate 1e-3 \
		--frozen time_pos time_embedding add_embedding

train-portrait-decoder: $(DEV)  ## train the portrait decoder further and measure it: make train-portrait-decoder [BUDGET_MIN=60] [OUT=folder] [FROM=package:lite] [HELD_OUT=16]
	@$(BIN)/python -m training.portrait_decoder "$(or $(OUT),runs/portrait-decoder)" \
		--budget-min $(or $(BUDGET_MIN),60) --held-out $(or $(HELD_OUT),16) $(if $(FROM),--from "$(FROM)")

train-bundle: $(DEV)  ## pack everything training needs, for a machine without network: make train-bundle [BUNDLE=file]
	@$(BIN)/python -m training.data.bundle "$(or $(OUT),runs/bundle)" "$(or $(BUNDLE),runs/sketch-training.tar.xz)"

evaluate-sketch: $(DEV)  ## measure the model `sketch`: make evaluate-sketch [WEIGHTS=folder] [OUT=folder] [RECORDINGS=folder] [CLIPS=16] [SECONDS=4] [SEEDS=2]
	@$(BIN)/python -m training.evaluate "$(or $(OUT),runs/evaluation/sketch)" \
		$(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(RECORDINGS),--recordings "$(RECORDINGS)") $(if $(RUN),--run "$(RUN)") \
		$(if $(CLIPS),--clips $(CLIPS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEEDS),--seeds $(SEEDS))

evaluate-lite: $(DEV)  ## measure every bar of the model `lite`, and write its card: make evaluate-lite [WEIGHTS=folder: writes no card] [OUT=folder] [PHOTOGRAPHS="a.png b.png"] [CLIPS=16] [SECONDS=4] [SEEDS=2] [LONG=600] [FINISHED=1: only write what is rendered so far]
	@$(BIN)/python -m tests.bench.lite "$(or $(OUT),runs/evaluation/lite)" $(if $(WEIGHTS),--weights "$(WEIGHTS)") \
		$(if $(PHOTOGRAPHS),--photographs $(PHOTOGRAPHS)) $(if $(CLIPS),--clips $(CLIPS)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(SEEDS),--seeds $(SEEDS)) $(if $(LONG),--long $(LONG)) $(if $(FINISHED),--finished)

docs: $(DEV)  ## rewrite the pages generated from the code
	@$(BIN)/python -m tests.pages

lock: $(DEV)  ## rewrite requirements.lock from pyproject.toml and constraints.txt, with the hashes of all files
	@$(INSTALL) uv==0.13.9
	@$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --constraint constraints.txt \
		$(foreach extra,c2pa cluster dev training ui,--extra $(extra)) --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean:  ## remove .venv and caches
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info
