# make demo: a drawn speaker read by the shipped weights. make smoke: a tiny network trained on drawn ones.
# make test, make lint: as CI does.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := data/demo
SMOKE := data/smoke

.PHONY: install demo smoke test lint clean

install: $(VENV)/installed

$(VENV)/installed: requirements.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -e .[dev]
	touch $@

demo: install
	rm -rf $(DEMO)
	$(BIN)/python scripts/synthesize.py --out $(DEMO)/videos --speakers 1 --sentences 5 --seed 27
	$(BIN)/python scripts/predict.py --decoder grammar $$(ls $(DEMO)/videos/s1/*.mp4 | head -n 1)
	$(BIN)/python scripts/preprocess.py $(DEMO)/videos --out $(DEMO)/crops
	$(BIN)/python scripts/evaluate.py --data $(DEMO)/crops --split all --decoder grammar

smoke: install
	rm -rf $(SMOKE) runs/smoke
	$(BIN)/python scripts/synthesize.py --out $(SMOKE)/videos --speakers 4 --sentences 50 --seed 0
	$(BIN)/python scripts/preprocess.py $(SMOKE)/videos --out $(SMOKE)/crops
	$(BIN)/python scripts/train.py --config configs/smoke.yaml data.root=$(SMOKE)/crops run.dir=runs/smoke
	$(BIN)/python scripts/evaluate.py --weights runs/smoke/best.safetensors --data $(SMOKE)/crops \
		--split dev_seen

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(DEMO) $(SMOKE) runs/smoke
