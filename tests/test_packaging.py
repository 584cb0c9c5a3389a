"""What ``pip install`` installs: the commands, the weights, and the versions of the dependencies."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

import lipnet

ROOT = Path(__file__).parent.parent
COMMANDS = ("lipnet-evaluate", "lipnet-predict", "lipnet-preprocess", "lipnet-train")
SOURCES = ("setup.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE", "lipnet", "scripts")


def installed() -> Distribution:
    """What is installed; a lipnet.egg-info in the checkout may be older."""
    [found] = distributions(name="lipnet", path=[sysconfig.get_path("purelib")])
    return found


def requirements(path: Path) -> list[str]:
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return [line for line in lines if line]


def test_the_commands_are_the_main_functions_of_the_scripts() -> None:
    points = installed().entry_points.select(group="console_scripts")
    assert sorted(points.names) == list(COMMANDS)
    for point in points:
        script = ROOT / "scripts" / f"{point.name.removeprefix('lipnet-')}.py"
        assert Path(point.load().__code__.co_filename).name == "cli.py"  # what command_line returns
        assert Path(point.load().__wrapped__.__code__.co_filename) == script


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_in_any_folder_and_names_itself(command: str, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name(command)
    done = subprocess.run(
        [program, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.startswith(f"usage: {command} [-h]")


def test_each_requirement_has_a_minimum_version_and_a_reason() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w-]+>=[\d.]+(,<\d+)? +# \w.+", line), line


def test_the_oldest_versions_that_are_tested_are_those_that_are_allowed() -> None:
    allowed = requirements(ROOT / "requirements.txt")
    extras = [line.partition(";")[0] for line in installed().requires or [] if "extra ==" in line]
    minima = dict(re.findall(r"([\w-]+)\S*?>=([\d.]+)", "\n".join(allowed + extras)))
    pins = dict(line.split("==") for line in requirements(ROOT / "tests" / "oldest.txt") if "==" in line)
    assert pins.keys() == minima.keys()
    for name, version in pins.items():
        assert version == minima[name] or re.fullmatch(rf"{re.escape(minima[name])}(\.0)*(\.\d+)?", version)


@pytest.mark.slow
def test_the_wheel_holds_the_package_the_scripts_and_the_weights(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", tmp_path, source], check=True, timeout=300, capture_output=True)
    [wheel] = tmp_path.glob("lipnet-*.whl")
    assert wheel.name.startswith(f"lipnet-{lipnet.__version__}-py3-none-any")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {str(path.relative_to(ROOT)) for path in (ROOT / "lipnet").rglob("*.py")}
    expected |= {f"lipnet/scripts/{path.name}" for path in (ROOT / "scripts").glob("*.py")}
    weights = ("grid.safetensors", "landmarks.safetensors", "grid.arpa", "MODEL_CARD.md")
    expected |= {f"lipnet/weights/{name}" for name in weights} | {"lipnet/analysis/report.html.j2"}
    page = [path for folder in ("static", "templates") for path in (ROOT / "lipnet/app" / folder).iterdir()]
    expected |= {str(path.relative_to(ROOT)) for path in page}
    assert names == expected
