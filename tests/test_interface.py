"""The interface of ``import lipnet``: its names, what importing them loads, and ``load_model``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import lipnet
from lipnet.errors import CheckpointError, ConfigError, LipnetError
from lipnet.models.checkpoint import load_weights
from lipnet.weights import WEIGHTS

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "torchvision", "numpy", "cv2", "dlib", "av", "omegaconf", "onnx", "onnxruntime"}


def modules_after(code: str, *arguments: object) -> set[str]:
    """Names of all modules that a fresh Python has loaded after running ``code``."""
    code += "\nimport sys\nprint(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = modules_after("import lipnet; assert lipnet.__version__; dir(lipnet)")
    assert "lipnet" in loaded
    assert not loaded & HEAVY
    assert not [name for name in loaded if name.startswith("lipnet.")]


def test_importing_the_reader_loads_no_pytorch() -> None:
    loaded = modules_after("from lipnet import LipReader, Transcript")
    assert {"lipnet.inference.reader", "lipnet.inference.transcript"} <= loaded
    assert not loaded & {"torch", "torchvision", "omegaconf", "onnxruntime", "lipnet.models.lipnet"}


def test_reading_a_video_with_an_onnx_file_loads_no_pytorch(
    untrained_weights: Path, synthetic_clip: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from lipnet.models.onnx.export import onnx_model

    path = tmp_path / "loud.onnx"
    path.write_bytes(onnx_model(*load_weights(untrained_weights)).SerializeToString())
    code = (
        "import sys; from lipnet import LipReader; "
        "assert LipReader.load(sys.argv[1]).read(sys.argv[2]).text != ''"
    )
    loaded = modules_after(code, path, synthetic_clip)
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "torchvision", "onnx"}


def test_the_names_are_those_of_the_packages() -> None:
    from lipnet.inference.reader import LipReader
    from lipnet.inference.transcript import Transcript
    from lipnet.models.lipnet import LipNet

    assert (lipnet.LipReader, lipnet.LipNet, lipnet.Transcript) == (LipReader, LipNet, Transcript)
    names = {"load_model", "LipReader", "LipNet", "Transcript", "__version__"}
    assert set(lipnet.__all__) == names
    assert names <= set(dir(lipnet))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'lipnet' has no attribute 'LipReeder'"):
        lipnet.LipReeder  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError):
        from lipnet import nothing  # type: ignore[attr-defined]  # noqa: F401


def test_load_model_gives_the_shipped_network_ready_for_evaluation() -> None:
    model = lipnet.load_model(device="cpu")
    assert isinstance(model, lipnet.LipNet)
    assert not any(module.training for module in model.modules())
    expected, metadata = load_weights(WEIGHTS)
    assert model.config == metadata.model
    assert model.state_dict().keys() == expected.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected.state_dict()[name]), name


def test_load_model_reads_other_weights_and_computes_their_log_probabilities(untrained_weights: Path) -> None:
    model = lipnet.load_model(str(untrained_weights), "cpu")
    size = (1, 5, model.config.height, model.config.width, 3)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, size, np.uint8))
    with torch.inference_mode():
        log_probs = model(frames, torch.tensor([5])).log_probs
        expected = load_weights(untrained_weights)[0](frames, torch.tensor([5])).log_probs
    assert log_probs.shape == (1, 5, len(model.config.alphabet) + 1)
    assert torch.equal(log_probs, expected)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(1, 5))


def test_load_model_chooses_the_device(untrained_weights: Path) -> None:
    model = lipnet.load_model(untrained_weights, "meta")
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert {one.device.type for one in lipnet.load_model(untrained_weights).parameters()} == {expected}
    with pytest.raises(ConfigError, match=r"device 'cuda:99' is not available here"):
        lipnet.load_model(untrained_weights, "cuda:99")


def test_load_model_refuses_an_onnx_file_and_names_what_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "lipnet.onnx"
    path.write_bytes(b"anything")
    with pytest.raises(LipnetError) as error:
        lipnet.load_model(path)
    assert str(error.value) == f"{path}: an .onnx file holds no PyTorch network; LipReader.load reads it"
    with pytest.raises(CheckpointError, match=r"gone\.safetensors: no such weights file"):
        lipnet.load_model(tmp_path / "gone.safetensors")
