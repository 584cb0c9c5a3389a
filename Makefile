# make demo: the pretrained weights read a synthetic speaker. make smoke: train a tiny network on synthetic
# speakers. make lint, make test, make test-slow: the checks of continuous integration.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := data/demo
SMOKE := data/smoke
PICTURES := data/pictures
JOBS ?= 2  # processes that run tests
N ?= 1000
# The crop store of GRID, and the speakers that `make loso` leaves out in turn.
GRID := data/grid
LOSO := s3 s4 s30 s32 s33
SEED ?= 0
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
# Python 3.10 to 3.12 has wheels of the oldest versions.
OLDEST := .venv-oldest
OLDEST_TESTS := tests/test_config.py tests/test_metrics.py $(addprefix tests/,video cropping data decoding \
	models training inference output)

.PHONY: install demo smoke pictures loso test test-slow test-all test-oldest fuzz kill benchmark lint clean

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

# The picture at the top of the README: a synthetic speaker, read with the weights that ship.
pictures: install
	rm -rf $(PICTURES)
	$(BIN)/python scripts/synthesize.py --out $(PICTURES) --speakers 1 --first-speaker 3 --sentences 5 --seed 5
	$(BIN)/python scripts/animate.py $(PICTURES)/s3/bgwq9a.mp4 --decoder grammar --out pictures/demo.webp

# Leave-one-speaker-out: the landmark model is trained without each of LOSO and evaluated on that speaker.
loso: install $(addprefix runs/loso_,$(addsuffix /metrics.json,$(LOSO)))

runs/loso_%/metrics.json:
	mkdir -p runs/loso_lists
	grep '^$*/' $(GRID)/splits/train.txt > runs/loso_lists/$*.txt
	if test -e runs/loso_$*/resume.pt; then $(BIN)/python scripts/train.py --resume runs/loso_$*; \
	else $(BIN)/python scripts/train.py --config configs/landmarks.yaml data.root=$(GRID) \
		'data.leave_out=[$*]' 'data.dev_splits=[runs/loso_lists/$*.txt]' train.select=last \
		run.dir=runs/loso_$*; fi
	$(BIN)/python scripts/evaluate.py --weights runs/loso_$*/best.safetensors --data $(GRID) \
		--split runs/loso_lists/$*.txt --decoder grammar --out runs/loso_$*

# What takes a few minutes; tests marked `slow` are left to test-slow.
test: install
	$(PYTEST) -m "not slow"

test-slow: install
	$(PYTEST) -m slow

test-all: test test-slow

# The oldest versions of all dependencies that requirements.txt and setup.py allow.
test-oldest: $(OLDEST)/installed
	PYTHONPATH=$(CURDIR) $(OLDEST)/bin/python -m pytest $(OLDEST_TESTS)

$(OLDEST)/installed: tests/oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/pip install --quiet -r tests/oldest.txt
	touch $@

# N mutated files of every kind that the programs read; SEED=1 gives others.
fuzz: install
	PYTHONPATH=tests $(BIN)/python -m fuzz --count $(N) --seed $(SEED) --workers $(JOBS)

# preprocess.py, its shards and train.py are killed at N moments each, and continued.
kill: N = 50
kill: install
	PYTHONPATH=tests $(BIN)/python -m kill $(N) --seed $(SEED) --jobs $(JOBS)

# The speed of cropping, training and reading on this machine; OPTIONS='--only step' and others as benchmark.py has.
OPTIONS ?=
benchmark: install
	$(BIN)/python scripts/benchmark.py --out runs/benchmark.json $(OPTIONS)

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(OLDEST) $(DEMO) $(SMOKE) $(PICTURES) runs/smoke
