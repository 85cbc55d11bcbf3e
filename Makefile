# make demo: set up and run the main job end to end.   make test: set up and pass the tests.
# The newest Python that runs here and can make an environment; `make PYTHON=...` names another.
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell $(name) $(USABLE) 2>/dev/null && echo $(name))))
USABLE := -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Threads that wait should sleep, not spin: on a busy machine spinning makes torch several times slower.
export OMP_WAIT_POLICY := passive
# Processes that tests are shared among; each holds a torch of its own.
WORKERS ?= auto

.PHONY: demo test check bench gpu docs world clean

demo: .venv/.installed
	$(BIN)/coresift demo

test: .venv/.installed
	$(BIN)/ruff check
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal

bench: .venv/.installed
	$(BIN)/python benchmarks/run.py

# Every test and benchmark that wants a GPU, at most nine minutes; benchmarks/gpu.json holds the figures.
gpu: .venv/.installed
	@$(BIN)/python benchmarks/gpu.py

docs: .venv/.installed
	$(BIN)/pip install -q -c constraints.txt -e ".[docs]"
	$(BIN)/mkdocs build --strict

# Pretrain the embedded base model again (about the time that docs/world.md states).
world: .venv/.installed
	$(BIN)/python -m coresift.world.pretrain

# Torch goes first: alone, the constraint picks the build without CUDA where one is at hand.
.venv/.installed: pyproject.toml constraints.txt
	$(or $(PYTHON),$(error no Python from 3.11 to 3.13 here. Install one, or name it: make PYTHON=/path/to/python)) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv runs site .pytest_cache .mypy_cache .ruff_cache .hypothesis
