# Two commands on a fresh machine: `make demo` and `make test`.  Each makes its own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check bench onnxruntime clean

demo: $(VENV)/.installed
	$(BIN)/juyi demo --overwrite

test: $(VENV)/.installed-development check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/.installed-development
	$(BIN)/ruff check src tests bench docs
	$(BIN)/ruff format --check src tests bench docs
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python bench/table.py --check
	$(BIN)/python docs/make_methods.py --check

bench: $(VENV)/.installed-development
	$(BIN)/python bench/run.py

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-development: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[hub,export,private,federated,development]'
	touch $@

# The runtime of model.html, from its npm package; the test of SHA256SUMS tells whether it is the one that is named.
RUNTIME := src/juyi/report/onnxruntime
onnxruntime:
	cd $(RUNTIME) && npm pack --silent onnxruntime-web@1.30.0
	cd $(RUNTIME) && tar xzf onnxruntime-web-*.tgz --strip-components 2 package/dist/ort.wasm.bundle.min.mjs \
		package/dist/ort-wasm-simd-threaded.wasm
	cd $(RUNTIME) && gzip -9 -n -f ort.wasm.bundle.min.mjs ort-wasm-simd-threaded.wasm && rm onnxruntime-web-*.tgz

clean:
	rm -rf $(VENV) juyi-demo
