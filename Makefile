# Everything starts from plain Python >= 3.11; nothing else is installed by hand.
PYTHON ?= python3
UV = .tools/bin/uv
STAMP = .venv/.installed

.PHONY: run demo test check bench verifier clean

run: $(STAMP) verifier  ## a running wallet with sample data, and how to follow one licence all the way
	.venv/bin/liangzheng run

demo: $(STAMP) verifier  ## the six steps in order, on a platform of its own
	.venv/bin/liangzheng demo

test: $(STAMP)  ## all tests that can run here; what was skipped is listed at the end
	.venv/bin/python -m pytest --numprocesses auto $(PYTEST_ARGS)

check: $(STAMP)  ## lock file, style, types, arrows
	$(UV) lock --quiet --check
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: $(STAMP)  ## ratios against raw cryptography, in one run
	.venv/bin/python -m tests.bench $(BENCH_ARGS)
	.venv/bin/python -m tests.presentation.photographs

verifier: .verifier/bin/liangzheng-verify  ## an environment with nothing but the verifier SDK's wheel

.verifier/bin/liangzheng-verify: $(STAMP) $(wildcard verifier_sdk/*.py) verifier_sdk/pyproject.toml
	rm -rf .verifier dist/verifier
	$(UV) build --quiet --package liangzheng-verifier --wheel --out-dir dist/verifier
	$(PYTHON) -m venv .verifier
	.verifier/bin/pip install --quiet --disable-pip-version-check dist/verifier/*.whl

$(STAMP): pyproject.toml verifier_sdk/pyproject.toml uv.lock
	test -x $(UV) || { $(PYTHON) -m venv .tools && .tools/bin/pip install --quiet --disable-pip-version-check uv==0.13.9; }
	$(UV) sync --quiet --frozen --python $(PYTHON)
	touch $(STAMP)

clean:  ## everything that make made; the data directory stays
	rm -rf .venv .tools .verifier dist build *.egg-info
