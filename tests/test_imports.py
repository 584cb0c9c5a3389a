"""Nothing imports a script, and prediction imports only what it needs.

The direction of imports between packages is checked by import-linter (pyproject.toml).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(path for folder in ("lipnet", "scripts") for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> list[str]:
    """Dotted names of all modules that a file imports, anywhere in the file."""
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_imports_a_script(path: Path) -> None:
    scripts = {script.stem for script in (ROOT / "scripts").glob("[!_]*.py")}
    forbidden = {"scripts", "tests", *scripts}
    for name in imports(path):
        first, _, rest = name.partition(".")
        assert first not in forbidden, name
        assert first != "lipnet" or rest.split(".")[0] != "scripts", name


def test_prediction_imports_only_what_it_needs() -> None:
    code = "import sys, lipnet.inference.reader; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split())
    assert "lipnet.decoding.factory" in loaded
    assert not loaded & {"torch", "tensorboard", "omegaconf", "lipnet.data.dataset", "lipnet.training.engine"}
