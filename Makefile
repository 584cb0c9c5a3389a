# make demo: from nothing to a sentence read off a drawn speaker's lips. make test, make lint: as CI does.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := data/demo

.PHONY: install demo test lint clean

install: $(VENV)/installed

$(VENV)/installed: requirements.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -e .[dev]
	touch $@

demo: install
	rm -rf $(DEMO) runs/demo
	$(BIN)/python scripts/synthesize.py --out $(DEMO)/videos --speakers 4 --sentences 50 --seed 0
	$(BIN)/python scripts/preprocess.py $(DEMO)/videos --out $(DEMO)/crops
	$(BIN)/python scripts/train.py --config configs/smoke.yaml data.root=$(DEMO)/crops run.dir=runs/demo
	$(BIN)/python scripts/evaluate.py --weights runs/demo/best.safetensors --data $(DEMO)/crops --split dev_seen
	$(BIN)/python scripts/predict.py --weights runs/demo/best.safetensors \
		$(DEMO)/videos/$$(head -n 1 $(DEMO)/videos/splits/dev_seen.txt).mp4

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(DEMO) runs/demo
