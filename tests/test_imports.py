"""Imports go one way: a file of lipnet imports only files that stand above it in this list."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = (
    "errors",
    "files",
    "workers",
    "config",
    "header",
    "text",
    "grid",
    "video",
    "face",
    "finder",
    "dlib_finder",
    "mtcnn_finder",
    "mouth",
    "fixed",
    "croppers",
    "drawn_look",
    "drawn_head",
    "drawn_face",
    "speech",
    "synthetic",
    "packed",
    "peers",
    "selection",
    "data",
    "sampler",
    "evidence",
    "convolution",
    "recurrent",
    "initial",
    "model",
    "cost",
    "augment",
    "decode",
    "beam",
    "ngram",
    "arpa",
    "languages",
    "grammar",
    "dictionary",
    "shipped",
    "decoders",
    "metrics",
    "checkpoint",
    "keras_weights",
    "public_weights",
    "hardware",
    "engine",
    "run",
    "board",
    "network",
    "onnx_export",
    "onnx_network",
    "ahead",
    "patch",
    "pauses",
    "reading",
    "timing",
    "confidence",
    "transcript",
    "doubts",
    "writers",
    "captions",
    "sound",
    "captioned_video",
    "reader",
    "camera",
)
FILES = sorted(path for folder in ("lipnet", "scripts") for path in (ROOT / folder).glob("*.py"))


def imports(path: Path) -> list[str]:
    """Dotted names of all modules that a file imports, wherever in the file."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            names += [node.module or ""]
            if node.module == "lipnet":
                names += [f"lipnet.{alias.name}" for alias in node.names if alias.name[0] != "_"]
    return names


def test_the_order_names_every_file() -> None:
    there = {path.stem for path in (ROOT / "lipnet").glob("*.py")} - {"__init__"}
    assert there == set(ORDER) and len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("module", ORDER)
def test_imports_go_one_way(module: str) -> None:
    own = [
        name.split(".")[1] for name in imports(ROOT / "lipnet" / f"{module}.py") if name.startswith("lipnet.")
    ]
    above = ORDER[: ORDER.index(module)]
    assert not [name for name in own if name not in above]


def test_the_package_itself_imports_nothing() -> None:
    assert imports(ROOT / "lipnet" / "__init__.py") == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_imports_a_script(path: Path) -> None:
    scripts = {script.stem for script in (ROOT / "scripts").glob("*.py")}
    assert not [name for name in imports(path) if name.split(".")[0] in {"scripts", "tests", *scripts}]


def test_predicting_imports_nothing_that_it_does_not_need() -> None:
    code = "import sys, lipnet.reader; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split())
    assert "lipnet.decoders" in loaded
    assert not loaded & {"torch", "tensorboard", "omegaconf", "lipnet.data", "lipnet.engine"}
