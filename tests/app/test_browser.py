"""The page in a real browser: headless Chromium, with a synthetic speaker in front of its webcam."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from page_server import PageServer

from lipnet.app.examples import Examples
from lipnet.video.decode import iter_frames
from lipnet.video.encode import write_video

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
]
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
CAMERA_SIZE = (640, 480)
STILL = 50  # frames before the sentence, so that a recording can begin at any time
PATIENCE_MS = 60_000
FIRST = "place white by k four again"  # an example
WORDS = {"place", "white", "by", "k", "four", "again"}  # of the webcam's sentence


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    rendered = Examples(tmp_path_factory.mktemp("examples"))
    return {sentence: rendered.video(sentence) for sentence in rendered.sentences}


@pytest.fixture(scope="module")
def webcam(examples: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Chromium's pretended webcam shows, again and again: YUV4MPEG2."""
    frames = list(iter_frames(examples[FIRST]))
    path = tmp_path_factory.mktemp("webcam") / "speaker.y4m"
    width, height = CAMERA_SIZE
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode())
        for frame in [frames[0]] * STILL + frames:
            yuv = cv2.cvtColor(cv2.resize(frame, CAMERA_SIZE), cv2.COLOR_RGB2YUV_I420)
            file.write(b"FRAME\n" + np.ascontiguousarray(yuv).tobytes())
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    folder = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        with PageServer() as server:
            server.folder = folder
            yield server


@pytest.fixture(scope="module")
def browser(webcam: Path) -> Iterator:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        options = [*OPTIONS, f"--use-file-for-fake-video-capture={webcam}"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, server: PageServer) -> Iterator[Callable]:
    """Open the page in a context of its own. Nothing but the server may be asked, and no script may fail."""
    contexts, outside, errors = [], [], []

    def asked(address: str) -> None:
        if not address.startswith((server.address, "data:", "blob:")):
            outside.append(address)

    def open_page(width: int = 1400):
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("request", lambda request: asked(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(server.address)
        page.wait_for_selector("#upload")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not outside and not errors


def read_example(page, number: int = 0) -> str:
    """Click an example, and return the text that is read."""
    page.locator(".example").nth(number).click()
    page.wait_for_selector(".lipnet-text")
    return page.inner_text(".lipnet-text")


def brightness(page, selector: str) -> float:
    """The sum of all values of a canvas."""
    script = f"""() => {{ const canvas = document.querySelector({selector!r});
        const context = canvas.getContext("2d");
        return context.getImageData(0, 0, canvas.width, canvas.height).data.reduce((a, b) => a + b, 0); }}"""
    return page.evaluate(script)


@pytest.mark.parametrize("width", [1400, 400])
def test_an_example_is_read_and_played(open_page: Callable, examples: dict[str, Path], width: int) -> None:
    page = open_page(width)
    assert read_example(page) == next(iter(examples))
    page.wait_for_function("document.querySelector('.lipnet-posteriorgram img').naturalWidth > 0")
    page.wait_for_function("document.querySelector('.lipnet-screen video').readyState >= 2")
    page.locator(".lipnet-words button").nth(2).click()
    page.wait_for_selector(".lipnet-words button.now:has-text('by')")
    page.wait_for_timeout(500)
    before = brightness(page, ".lipnet-strip"), page.locator(".lipnet-posteriorgram span").bounding_box()
    assert before[0] > 1e6
    assert brightness(page, ".lipnet-screen canvas") == 0
    page.check(".lipnet-toggle input")
    page.wait_for_timeout(500)
    assert brightness(page, ".lipnet-screen canvas") > 0
    page.click(".lipnet-controls button")
    page.wait_for_selector(".lipnet-words button.now:has-text('again')")
    after = brightness(page, ".lipnet-strip"), page.locator(".lipnet-posteriorgram span").bounding_box()
    assert after[0] != before[0] and after[1]["x"] > before[1]["x"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    with page.expect_download() as download:
        page.click(".lipnet-downloads a:has-text('SRT')")
    assert download.value.suggested_filename == "example_1.srt"
    assert next(iter(examples)) in Path(download.value.path()).read_text()


def test_an_upload_is_read_with_another_decoder(open_page: Callable, examples: dict[str, Path]) -> None:
    page = open_page()
    sentence, path = list(examples.items())[1]
    page.set_input_files("#upload input[type=file]", path)
    page.wait_for_selector(".lipnet-text")
    assert page.inner_text(".lipnet-text") == sentence
    assert path.name in page.inner_text(".lipnet-note >> nth=0")
    page.click("[aria-label=Decoder]")
    page.click("[role=option]:has-text('dictionary')")
    page.click("#read")
    page.wait_for_selector(".lipnet-note b:has-text('dictionary')")


def test_what_cannot_be_read_is_a_message(open_page: Callable, text_file: Path) -> None:
    page = open_page()
    page.click("#read")
    page.wait_for_selector(".lipnet-problem:has-text('there is no video yet')")
    page.set_input_files("#upload input[type=file]", text_file)
    page.wait_for_selector(".lipnet-problem:has-text('cannot be read as a video')")
    assert page.inner_text(".lipnet-problem").startswith(f"{text_file.name}: cannot be read as a video")
    assert "Traceback" not in page.content()


def test_sessions_do_not_see_each_other_s_files_which_are_deleted(
    open_page: Callable, server: PageServer, examples: dict[str, Path]
) -> None:
    first, second = open_page(), open_page()
    first.set_input_files("#upload input[type=file]", next(iter(examples.values())))
    first.wait_for_selector(".lipnet-text")
    address = first.get_attribute(".lipnet-screen video", "src")
    assert second.inner_text("#result").strip() == ""
    assert read_example(second, 1) == list(examples)[1]
    assert second.get_attribute(".lipnet-screen video", "src") != address
    status = "address => fetch(address).then(answer => answer.status)"
    assert second.evaluate(status, address) == 200
    assert list(server.folder.glob("lipnet-*/uploads/*/*.mp4"))
    first.context.close()
    gone = "address => fetch(address, {cache: 'no-store'}).then(answer => answer.status === 404)"
    second.wait_for_function(gone, arg=address, polling=500)
    assert not list(server.folder.glob("lipnet-*/uploads/*/*.mp4"))
    assert len(list(server.folder.glob("lipnet-*/results/*"))) == 1


def test_what_waits_is_deleted_when_its_page_is_closed(
    open_page: Callable, server: PageServer, examples: dict[str, Path], tmp_path: Path
) -> None:
    """Two people upload the same video; it stays while one of them has the page open."""
    long = tmp_path / "long.mp4"
    frames = [frame for path in examples.values() for frame in iter_frames(path)] * 4
    write_video(long, frames, 360, 288)
    pages = [open_page() for _ in range(3)]
    for page in pages:
        page.set_input_files("#upload input[type=file]", long if page is pages[0] else examples[FIRST])
    pages[1].wait_for_selector("#result:has-text('queue')")
    for page in pages[:2]:
        page.context.close()
    pages[2].wait_for_selector(f".lipnet-text:has-text('{FIRST}')")
    pages[2].click("#upload [aria-label='Clear']")
    pages[2].wait_for_function("!document.querySelector('.lipnet-text')")
    pages[2].click("#read")
    pages[2].wait_for_selector(".lipnet-problem:has-text('there is no video yet')")
    pages[2].context.close()
    for _ in range(100):
        if not list(server.folder.glob("lipnet-*/uploads/*/*.mp4")):
            break
        time.sleep(0.1)
    assert not list(server.folder.glob("lipnet-*/uploads/*/*.mp4"))
    assert not list(server.folder.glob("lipnet-*/results/*"))


def test_a_recording_of_the_webcam_is_read(open_page: Callable) -> None:
    page = open_page()
    page.click("button[role=tab]:has-text('Record')")
    page.click("#webcam button:has-text('Click to Access Webcam')")
    page.wait_for_timeout(1000)
    page.click("#webcam [aria-label='start recording']:has-text('Record')")
    page.wait_for_timeout(7000)
    page.click("#webcam button:has-text('Stop')")
    page.wait_for_selector(".lipnet-text")
    assert len(WORDS & set(page.inner_text(".lipnet-text").split())) >= 3


def test_the_webcam_is_read_live(open_page: Callable) -> None:
    page = open_page()
    page.click("button[role=tab]:has-text('Live')")
    page.click("#start")
    page.wait_for_selector(".lipnet-sentences li >> nth=1")
    page.click(".lipnet-stop")
    page.wait_for_timeout(3000)
    read = {word for text in page.locator(".lipnet-sentences li").all_inner_texts() for word in text.split()}
    assert len(WORDS & read) >= 3
    for _ in range(2):  # each ends the one before
        page.click("#start")
        page.wait_for_selector(".lipnet-partial:has-text('Watching')")
        page.wait_for_timeout(1000)


def test_a_password_is_asked_for(browser) -> None:
    with PageServer("--auth", "reader:secret") as server:
        page = browser.new_page()
        page.goto(server.address)
        page.wait_for_selector("input[type=password]")
        assert page.query_selector("#upload") is None
        config = "fetch('config').then(answer => answer.status)"
        assert page.evaluate(config) == 401
        page.fill("input >> nth=0", "reader")
        page.fill("input[type=password]", "secret")
        page.click("button")
        page.wait_for_selector("#upload", timeout=PATIENCE_MS)
        page.close()
