"""What imports cost, and that nothing imports a script. The layers are import-linter's, in pyproject.toml."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(path for folder in ("lipnet", "scripts") for path in (ROOT / folder).rglob("*.py"))


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


def test_the_package_itself_imports_nothing() -> None:
    assert imports(ROOT / "lipnet" / "__init__.py") == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_imports_a_script(path: Path) -> None:
    scripts = {script.stem for script in (ROOT / "scripts").glob("*.py")}
    assert not [name for name in imports(path) if name.split(".")[0] in {"scripts", "tests", *scripts}]


def test_predicting_imports_nothing_that_it_does_not_need() -> None:
    code = "import sys, lipnet.inference.reader; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split())
    assert "lipnet.decoding.factory" in loaded
    assert not loaded & {"torch", "tensorboard", "omegaconf", "lipnet.data.dataset", "lipnet.training.engine"}
