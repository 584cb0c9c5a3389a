"""The page: what is on it, and what happens when something on it is used."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import gradio as gr

from lipnet.app.examples import Examples
from lipnet.app.files import SessionFiles
from lipnet.app.live import PATIENCE_S, LiveRecordings
from lipnet.app.readers import DECODER_NAMES, Readers
from lipnet.app.reading import read_video, show_problem, template
from lipnet.errors import LipnetError

STATIC = Path(__file__).with_name("static")
STYLE = STATIC / "page.css"
SCRIPTS = [STATIC / "player.html", STATIC / "live.html"]
# Fonts of the visitor's computer: Gradio's own themes load theirs from the network.
THEME: dict[str, Any] = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}, "frameRate": {"ideal": 25}}}
WAITING = 20  # videos that may wait to be read
INTRODUCTION = (
    "# lipnet\nReads lips: give a video of one talking face, seen from the front. "
    "Videos stay on the computer that runs this page, and are deleted when the page is closed."
)
Upload = dict[str, Any] | None  # what the browser sends of an uploaded or recorded video


class Page:
    """The page's functions, with what they need."""

    def __init__(self, readers: Readers, files: SessionFiles, recordings: LiveRecordings) -> None:
        self.readers, self.files, self.recordings = readers, files, recordings
        self.examples = Examples(files.examples)
        self._working = Lock()  # Python must not end while a thread is inside a library

    def prepare(self) -> None:
        """Do in advance what else the first reading would wait for."""
        with self._working, suppress(LipnetError):  # which the first reading shows
            self.readers.get(self.readers.names[0], DECODER_NAMES[0])
        for sentence in self.examples.sentences:
            with self._working:  # a reading may come between
                self.examples.video(sentence)

    def close(self) -> None:
        """End all sessions and recordings, and wait until nothing is read any more."""
        self.files.close()
        self.recordings.close()
        self._working.acquire(timeout=PATIENCE_S)

    def note(self, video: Upload, request: gr.Request) -> None:
        """Note which video a session has uploaded or recorded: at once, so that it is deleted with it."""
        path = Path(str((video or {}).get("path") or ""))
        with suppress(LipnetError):  # which the reading shows
            self.files.add_upload(request.session_hash or "", path, str((video or {}).get("orig_name") or ""))

    def read(
        self,
        weights: str,
        decoder: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> str:
        """Read the session's video. Returns the HTML of its result, or of what is wrong."""
        session = request.session_hash or ""
        found = self.files.last_upload(session)
        if found is None:
            return show_problem("there is no video yet; upload or record one, or take an example")
        path, name = found
        return self._read(path, name, weights, decoder, session, progress)

    def clear(self, request: gr.Request) -> str:
        """Forget the session's video. Returns an empty result."""
        self.files.forget_upload(request.session_hash or "")
        return ""

    def read_example(
        self,
        sentence: str,
        weights: str,
        decoder: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> str:
        """Read the example in which ``sentence`` is said."""
        try:
            path = self.examples.video(str(sentence))
        except LipnetError as error:
            return show_problem(str(error))
        return self._read(path, path.name, weights, decoder, request.session_hash or "", progress)

    def _read(
        self, path: Path, name: str, weights: str, decoder: str, session: str, progress: gr.Progress
    ) -> str:
        def report(part: float | None, what: str) -> None:
            progress(part, desc=what)

        try:
            with self._working:
                reader = self.readers.get(str(weights), str(decoder))
                return read_video(reader, path, name, self.files, session, report)
        except LipnetError as error:  # the visitor does not know where the server keeps the video
            return show_problem(str(error).replace(str(path), name))

    def start_live(self, weights: str, decoder: str, request: gr.Request) -> str:
        """Begin a live recording. Returns HTML that names it to static/live.html, or says what is wrong."""
        try:
            reader = self.readers.get(str(weights), str(decoder))
            name = self.recordings.start(reader, request.session_hash or "")
        except LipnetError as error:
            return show_problem(str(error))
        return template("live").render(address=f"live/{name}")

    def end(self, request: gr.Request) -> None:
        """Delete what a session has left behind."""
        self.files.end(request.session_hash or "")
        self.recordings.end(request.session_hash or "")


def build_page(page: Page) -> gr.Blocks:
    """Lay the page out and connect it."""
    with gr.Blocks(title="lipnet", analytics_enabled=False, fill_width=True) as blocks:
        gr.Markdown(INTRODUCTION)
        names = page.readers.names
        with gr.Row():
            weights = gr.Dropdown(names, value=names[0], label="Weights", visible=len(names) > 1)
            decoder = gr.Dropdown(list(DECODER_NAMES), value=DECODER_NAMES[0], label="Decoder")
        with gr.Tab("Read a video"):
            _video_tab(page, weights, decoder)
        with gr.Tab("Live"):
            _live_tab(page, weights, decoder)
        blocks.unload(page.end)
    return blocks.queue(max_size=WAITING, default_concurrency_limit=1)


def _video_tab(page: Page, weights: gr.Dropdown, decoder: gr.Dropdown) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            # No preview of uploads: browsers cannot play all videos that can be read, such as GRID's.
            with gr.Tab("Upload"):
                upload = gr.File(label="Video (at most 200 MB)", elem_id="upload")
            with gr.Tab("Record"):
                webcam = gr.Video(
                    sources=["webcam"],
                    include_audio=False,
                    webcam_options=gr.WebcamOptions(mirror=False, constraints=CAMERA),
                    label="Webcam",
                    elem_id="webcam",
                )
            again = gr.Button("Read", variant="primary", elem_id="read")
            gr.Markdown("Or read a synthetic speaker:")
            examples = [
                gr.Button(sentence, size="sm", elem_classes="example") for sentence in page.examples.sentences
            ]
        with gr.Column(scale=5, min_width=300):
            result = gr.HTML(elem_id="result", js_on_load="watch('value', () => lipnetPlay(element))")
    # Raw values: Gradio would run the program ffmpeg to remove the sound.
    raw: dict[str, Any] = {"preprocess": False, "concurrency_id": "reading", "api_visibility": "private"}
    at_once: dict[str, Any] = {"preprocess": False, "queue": False, "api_visibility": "private"}
    settings = [weights, decoder]
    readings: list[Any] = [again.click(page.read, settings, result, **raw)]
    for source, given in ((upload, upload.upload), (webcam, webcam.stop_recording)):
        readings.append(given(page.note, source, None, **at_once).then(page.read, settings, result, **raw))
    webcam.change(page.note, webcam, None, **at_once)  # a part of a recording was chosen
    readings += [
        example.click(page.read_example, [example, *settings], result, **raw) for example in examples
    ]
    for source in (upload, webcam):
        source.clear(page.clear, None, result, cancels=readings, **at_once)


def _live_tab(page: Page, weights: gr.Dropdown, decoder: gr.Dropdown) -> None:
    gr.Markdown(
        "What is read so far appears every second, letter by letter as the network writes it. "
        "When a sentence has ended, it is read again by the decoder that was chosen."
    )
    start = gr.Button("Start the webcam", variant="primary", elem_id="start")
    live = gr.HTML(elem_id="live", js_on_load="watch('value', () => lipnetLive(element))")
    start.click(page.start_live, [weights, decoder], live, api_visibility="private", preprocess=False)
