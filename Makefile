# `make demo` and `make test` set up everything they need in .venv first.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
EXTRAS := $(VENV)/.extras

.PHONY: demo test format readme bench clean

demo: $(INSTALLED)
	$(VENV)/bin/python run_gradient_based.py --dataset glyphs --emnist_split balanced \
		--width 16 --num_total_iterations 1500 --run_id demo --model_name demo.pt

test: $(EXTRAS)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -n auto --dist loadfile

format: $(INSTALLED)
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

readme: $(INSTALLED)
	$(VENV)/bin/python docs/make_readme.py
	$(VENV)/bin/python docs/make_guide.py

bench: $(INSTALLED)
	$(VENV)/bin/python benchmarks/throughput.py
	$(VENV)/bin/python benchmarks/performance.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis build *.egg-info

$(INSTALLED): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(EXTRAS): requirements-extras.txt $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-extras.txt
	@touch $@
