"""The notebook: stored without outputs, and run from top to bottom on synthetic speakers."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import av
import nbformat
import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image
from tiny import run_script

from lipnet.decoding.factory import DECODERS
from lipnet.grid import GRAMMAR, is_grid_sentence
from lipnet.video.decode import read_video

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "lipnet.ipynb"
SIZES = {"SPEAKERS": 3, "SENTENCES": 2, "EPOCHS": 1}


def load() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def set_parameters(notebook: NotebookNode, values: dict[str, object]) -> None:
    """Give other values, written as code, to names of the cells tagged ``parameters``."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    for name, value in values.items():
        [cell] = [cell for cell in cells if re.search(rf"^{name} = ", cell.source, re.MULTILINE)]
        cell.source += f"\n{name} = {value}"


def test_it_is_stored_without_outputs() -> None:
    notebook = load()
    nbformat.validate(notebook)
    assert notebook.nbformat == 4
    for cell in code_cells(notebook):
        assert cell.outputs == [] and cell.execution_count is None, cell.id
        assert set(cell.metadata) <= {"tags"}, cell.id  # neither execution times nor settings of an editor


def test_its_code_compiles() -> None:
    for cell in code_cells(load()):
        compile(TransformerManager().transform_cell(cell.source), cell.id, "exec")


def test_its_links_lead_to_files() -> None:
    text = "\n".join(cell.source for cell in load().cells if cell.cell_type == "markdown")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links and all((NOTEBOOK.parent / link).exists() for link in links)


class Done:
    """An executed notebook and its cells' outputs by their ids."""

    def __init__(self, notebook: NotebookNode, work: Path) -> None:
        self.work = work
        self._outputs = {cell.id: cell.outputs for cell in code_cells(notebook)}

    def text(self, cell: str) -> str:
        return "".join(output.text for output in self._outputs[cell] if output.output_type == "stream")

    def data(self, cell: str, kind: str) -> str:
        """The cell's only output of that kind."""
        found = [output.data[kind] for output in self._outputs[cell] if kind in output.get("data", {})]
        assert len(found) == 1, f"{cell}: {len(found)} outputs of {kind}; it printed {self.text(cell)}"
        return str(found[0])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The notebook executed in its own folder, as a user does, with less training."""
    folder = tmp_path_factory.mktemp("notebook")
    work = folder / "the work"  # paths may contain spaces
    notebook = load()
    set_parameters(notebook, {**SIZES, "WORK": f"Path({str(work)!r})"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))  # without the user's settings
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.delenv("MPLBACKEND", raising=False)
        patch.setenv("PIP_NO_INDEX", "1")  # nothing may be installed here
        resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
        client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources)
        client.execute()  # raises the error of any cell
    return Done(notebook, work)


@pytest.mark.slow
def test_all_files_are_written_into_its_work_folder(done: Done) -> None:
    assert {path.name for path in done.work.iterdir()} == {"synthetic", "smoke", "captioned.mp4"}


@pytest.mark.slow
def test_the_clip_is_transcribed(done: Done) -> None:
    printed = done.text("read")
    hypothesis = re.search(r"\.mp4: (.*)  \(confidence", printed)
    reference = re.search(r"reference: (.*)", printed)
    assert hypothesis and reference
    words = hypothesis[1].split()
    assert is_grid_sentence(words)
    assert sum(one == other for one, other in zip(words, reference[1].split(), strict=True)) >= 4  # of 6
    by_name = dict(line.split(maxsplit=1) for line in done.text("decoders").splitlines()[-len(DECODERS) :])
    assert by_name.keys() == DECODERS.keys()
    assert by_name["grammar"] == hypothesis[1]


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["clip", "crops", "posteriorgram", "plot"])
def test_pictures(done: Done, cell: str) -> None:
    with Image.open(io.BytesIO(base64.b64decode(done.data(cell, "image/png")))) as image:
        pixels = np.asarray(image.convert("L"))
    assert min(pixels.shape) > 200
    assert len(np.unique(pixels)) > 50


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        ("rates", [*DECODERS, "95 % interval"]),
        ("slots", [slot.name for slot in GRAMMAR]),
        ("letters", ["said", "read"]),
        ("visemes", ["E: P B M", "said", "read"]),
        ("calibration", ["mean confidence"]),
        ("saliency", ["<image", "s3/"]),
    ],
)
def test_figures_of_the_report(done: Done, cell: str, texts: list[str]) -> None:
    html = done.data(cell, "text/html")
    assert "<svg" in html and [text for text in texts if text not in html] == []


@pytest.mark.slow
def test_the_errors_are_those_of_evaluate(done: Done) -> None:
    smoke = done.work / "smoke" / "crops"
    result = run_script("evaluate", "--data", smoke, "--split", "dev_unseen", "--decoder", "grammar")
    printed = done.text("analysis").splitlines()[-1]
    assert printed.startswith("WER") and printed in result.out


@pytest.mark.slow
def test_the_captioned_video_plays_in_browsers(done: Done, tmp_path: Path) -> None:
    html = done.data("captioned", "text/html")
    encoded = re.search(r"data:video/mp4;base64,([^\"]+)", html)
    assert encoded and "<video" in html
    path = tmp_path / "embedded.mp4"
    path.write_bytes(base64.b64decode(encoded[1]))
    assert path.read_bytes() == (done.work / "captioned.mp4").read_bytes()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
    captioned = read_video(path)
    [source] = done.work.glob("synthetic/s1/*.mp4")
    difference = np.abs(captioned.astype(int) - read_video(source)).mean(axis=(0, 2, 3))  # of each row
    assert (
        difference[-40:].max() > 4 * difference[: len(difference) // 2].max()
    )  # the captions, at the bottom


@pytest.mark.slow
def test_the_tiny_network_is_trained(done: Done) -> None:
    [line] = map(json.loads, (done.work / "smoke" / "run" / "log.jsonl").read_text().splitlines())
    assert line["epoch"] == SIZES["EPOCHS"]
    assert {name: counts["sentences"] for name, counts in line["dev"].items()} == {
        "dev_seen": 2,
        "dev_unseen": 2,
    }
    printed = done.text("unseen")
    assert printed.count("  reference  ") == printed.count("  hypothesis  ") == 2
