"""The report of a benchmark: what it was measured on, as JSON and as a table."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from lipnet import __version__
from lipnet.benchmark.timing import Result
from lipnet.device import Device
from lipnet.models.checkpoint import source_revision

FORMAT = 1
PACKAGES = ("torch", "numpy", "opencv-python-headless", "av", "dlib-bin", "onnxruntime")
SHOWN = {  # details in the table, and how they are written
    "gflops": "{:.0f} GFLOP/s",
    "share_of_peak": "{:.0%} of a matrix product's",
    "peak_gb": "{:.1f} GB",
    "peak_mb": "{:.0f} MB",
    "seconds": "{:.1f} s",
    "workers": "{:.0f} workers",
}


def environment(device: Device) -> dict[str, Any]:
    """What numbers depend on besides the code: device, threads, precision, versions; and the commit."""
    return {
        "device": torch.cuda.get_device_name(device.torch_device) if device.is_gpu else cpu_name(),
        "device_type": device.torch_device.type,
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": load(),
        "precision": str(device).rpartition(" ")[2],
        "system": platform.platform(),
        "versions": versions(),
        "commit": source_revision(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def load() -> float | None:
    """Mean number of processes that wanted to run in the last minute; None where that is unknown."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def cpu_name() -> str:
    """The processor's name as the operating system gives it."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str | None]:
    """Of lipnet, Python, the CUDA and cuDNN of PyTorch, and PACKAGES; None for what is not installed."""
    found: dict[str, str | None] = {"lipnet": __version__, "python": platform.python_version()}
    found["cuda"] = torch.version.cuda if torch.cuda.is_available() else None
    found["cudnn"] = str(torch.backends.cudnn.version()) if torch.cuda.is_available() else None
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def to_json(
    where: Mapping[str, Any], what: Mapping[str, Any], results: Sequence[Result], seconds: float
) -> bytes:
    """The report as JSON.

    Args:
        where: the `environment`.
        what: the recipe, its settings, the weights, and other choices.
        seconds: that the benchmark has taken.
    """
    report = {
        "format": FORMAT,
        **where,
        **what,
        "seconds": round(seconds, 1),
        "results": [asdict(result) for result in results],
    }
    return json.dumps(report, indent=1).encode()


def heading(where: Mapping[str, Any]) -> str:
    """One line about the machine."""
    threads = f"{where['threads']} threads"
    if where["device_type"] != "cpu":
        threads += f" of {where['cpu']}"
    revision = where["commit"] or where["versions"]["lipnet"]
    machine = f"{where['device']}, {threads}, {where['precision']}"
    return f"{machine}; torch {where['versions']['torch']}, lipnet {revision}"


HEAD = f"{'part':<11}{'':<20}{'median':>9} {'unit':<17}{'lowest - highest':<20}"


def row(result: Result) -> str:
    """A result as a line of the table."""
    details = ", ".join(
        form.format(result.details[key]) for key, form in SHOWN.items() if key in result.details
    )
    limits = f"{result.lowest:.4g} - {result.highest:.4g}"
    line = f"{result.part:<11}{result.name:<20}{result.value:>9.4g} {result.unit:<17}{limits:<20}{details}"
    return line.rstrip()
