"""Packaging: ``pip install -e .``, or ``pip install -e .[dev]`` to run the tests and the linters."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
REQUIREMENTS = (ROOT / "requirements.txt").read_text().split()
EXPORT = ["onnx", "onnxruntime"]
CONVERT = ["h5py"]
NOTEBOOK = ["nbclient", "ipykernel", "matplotlib"]
VERSION = (ROOT / "lipnet" / "__init__.py").read_text().split('__version__ = "')[1].split('"')[0]

setup(
    name="lipnet",
    version=VERSION,
    description="LipNet in PyTorch: sentences read off silent videos of a speaker's mouth",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["lipnet", "lipnet.*"]),
    package_data={"lipnet": ["weights/*"]},
    python_requires=">=3.10",
    install_requires=REQUIREMENTS,
    extras_require={
        "dev": ["pytest", "ruff", "mypy", *EXPORT, *CONVERT, *NOTEBOOK],
        "export": EXPORT,
        "convert": CONVERT,
        "notebook": NOTEBOOK,
    },
)
