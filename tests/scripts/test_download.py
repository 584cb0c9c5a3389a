"""download_grid.sh with a local server that has archives of a few bytes."""

import hashlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from file_server import FileServer, tar_of, zip_of

SCRIPT = Path(__file__).parents[2] / "download_grid.sh"
TOOLS = ("bash", "curl", "unzip", "tar")
pytestmark = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in TOOLS), reason=f"needs {', '.join(TOOLS)}"
)

VIDEO_URL, ALIGN_URL = "/s1/video/s1.mpg_vcd.zip", "/s1/align/s1.tar"


VIDEOS = {"bbaf2n": os.urandom(5000), "lrae3s": os.urandom(3000)}
ALIGNS = {"bbaf2n": b"0 74500 sil\n", "lrae3s": b"0 74500 sil\r\n"}
VIDEO_ZIP = zip_of(
    {f"s1/{clip}.mpg": data for clip, data in VIDEOS.items()}
    | {"__MACOSX/s1/._bbaf2n.mpg": b"junk", "s1/Thumbs.db": b"junk"}
)
ALIGN_TAR = tar_of(
    {f"align/{clip}.align": data for clip, data in ALIGNS.items()} | {"align/._bbaf2n.align": b"junk"}
)
HOME_PAGE = {VIDEO_URL: VIDEO_ZIP, ALIGN_URL: ALIGN_TAR}
# Like Zenodo's: one archive of all alignments, with a speaker under another's name.
ALL_ALIGNS = {f"alignments/s2/{clip}.align": data for clip, data in ALIGNS.items()}
ZENODO = {
    "/s1.zip": VIDEO_ZIP,
    "/s3.zip": zip_of({"s3/pgbz4a.mpg": b"video"}),
    "/alignments.zip": zip_of(ALL_ALIGNS | {"alignments/s3/pgbz4a.align": b"0 74500 sil\n"}),
}


@pytest.fixture
def serve():
    """A function that starts a server with files (path -> bytes); the server's ``requests`` are recorded."""
    servers = []

    def start(files):
        servers.append(FileServer(files))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def closed_url():
    """The URL of a port without a server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "with space" / "grid"


def download(out, *arguments, home, zenodo, **variables):
    environment = os.environ | {"GRID_MIRROR": home, "GRID_ZENODO": zenodo, "no_proxy": "127.0.0.1"}
    return subprocess.run(
        [shutil.which("bash"), SCRIPT, "--out", out, *arguments],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=30,
    )


def files_in(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


S1_FILES = {f"s1/{clip}.mpg": data for clip, data in VIDEOS.items()} | {
    f"align/s1/{clip}.align": data for clip, data in ALIGNS.items()
}


def test_files_are_where_preprocess_reads_them_and_are_skipped_in_the_next_run(serve, closed_url, out):
    server = serve(HOME_PAGE)
    done = download(out, "1", home=server.url, zenodo=closed_url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "s1: 2 clips, 2 alignments\n", "")
    assert files_in(out) == S1_FILES
    assert sorted(p.name for p in out.iterdir()) == ["align", "s1"]

    server.requests.clear()
    again = download(out, "s1", home=server.url, zenodo=closed_url)
    assert (again.returncode, again.stdout) == (0, "s1: already there\n")
    assert server.requests == []


def test_archives_are_kept_on_request(serve, closed_url, out):
    download(out, "s1", home=serve(HOME_PAGE).url, zenodo=closed_url, KEEP_ARCHIVES="1")
    kept = {"archives/home_page-s1.zip": VIDEO_ZIP, "archives/home_page-s1-align.tar": ALIGN_TAR}
    assert files_in(out) == S1_FILES | kept


@pytest.mark.parametrize("can_continue", [True, False])
def test_an_interrupted_download_is_continued(serve, closed_url, out, can_continue):
    server = serve(HOME_PAGE)
    server.breaks_off_at = 4000
    interrupted = download(out, "s1", home=server.url, zenodo=closed_url)
    assert interrupted.returncode == 1
    assert f"interrupted: {server.url}{VIDEO_URL}" in interrupted.stderr
    assert files_in(out) == {"archives/home_page-s1.zip": VIDEO_ZIP[:4000]}

    server.breaks_off_at, server.can_continue = None, can_continue
    done = download(out, "s1", home=server.url, zenodo=closed_url)
    assert done.returncode == 0
    assert ("GET", VIDEO_URL, "bytes=4000-") in server.requests
    assert files_in(out) == S1_FILES


def test_only_missing_files_are_downloaded(serve, closed_url, out):
    server = serve({VIDEO_URL: VIDEO_ZIP})
    partly = download(out, "s1", home=server.url, zenodo=closed_url)
    assert partly.returncode == 1
    assert f"cannot download {server.url}{ALIGN_URL} (HTTP error)" in partly.stderr

    server.files[ALIGN_URL] = ALIGN_TAR
    server.requests.clear()
    assert download(out, "s1", home=server.url, zenodo=closed_url).returncode == 0
    assert {path for _, path, _ in server.requests} == {ALIGN_URL}
    assert files_in(out) == S1_FILES


@pytest.mark.parametrize("archive", [VIDEO_ZIP[:4000], b"<html>moved</html>"])
def test_a_damaged_archive_is_removed_and_reported(serve, out, archive):
    server = serve({VIDEO_URL: archive})
    failed = download(out, "s1", home=server.url, zenodo=server.url)
    assert failed.returncode == 1
    assert f"removed a damaged archive: {server.url}{VIDEO_URL}" in failed.stderr
    assert "1 of 1 speakers are missing: s1" in failed.stderr
    assert files_in(out) == {}


def test_the_second_mirror_is_used_if_the_first_is_down(serve, closed_url, out):
    server = serve(ZENODO)
    done = download(out, "s1", "s3", home=closed_url, zenodo=server.url)
    assert done.returncode == 0
    assert done.stderr.count("cannot reach") == 1  # it is not tried again for each file
    assert files_in(out) == S1_FILES | {"s3/pgbz4a.mpg": b"video", "align/s3/pgbz4a.align": b"0 74500 sil\n"}
    assert sum(path == "/alignments.zip" for method, path, _ in server.requests if method == "GET") == 1


def test_other_speakers_are_downloaded_if_one_fails(serve, closed_url, out):
    server = serve(HOME_PAGE)
    done = download(out, "s2", "s1", home=server.url, zenodo=server.url)
    assert done.returncode == 1
    assert "1 of 2 speakers are missing: s2" in done.stderr
    assert files_in(out) == S1_FILES


def test_no_server_can_be_reached(closed_url, out):
    failed = download(out, home=closed_url, zenodo=closed_url)
    assert failed.returncode == 1
    assert f"cannot reach {closed_url}/s1" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("error: no server can be reached")
    assert files_in(out) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s21"], "s21 has no video"),
        (["s1", "99"], "no speaker 99"),
        (["s0"], "no speaker s0"),
        (["../s1"], "no speaker"),
        (["--speaker", "s1"], "unknown option --speaker"),
        (["s1", "--out"], "--out needs a folder"),
    ],
)
def test_bad_arguments(closed_url, out, arguments, message):
    failed = download(out, *arguments, home=closed_url, zenodo=closed_url)
    assert failed.returncode == 2
    assert message in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert not out.exists()


def test_a_missing_tool_is_named(closed_url, out, tmp_path):
    failed = download(out, "s1", home=closed_url, zenodo=closed_url, PATH=str(tmp_path))
    assert failed.returncode == 2
    assert "curl is not installed" in failed.stderr


@pytest.fixture
def silent_url():
    """The URL of a server that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_never_answers_is_given_up(serve, silent_url, out):
    server = serve(ZENODO)
    done = download(out, "s1", "s3", home=silent_url, zenodo=server.url, GRID_TIMEOUT="1")
    assert done.returncode == 0
    assert done.stderr.count("cannot reach") == 1
    assert files_in(out)["s3/pgbz4a.mpg"] == b"video"


def test_a_tar_that_is_cut_between_two_files_is_noticed(serve, out):
    """tar itself accepts it; the server that sends it states its size."""
    cut = ALIGN_TAR[:1024]  # the first file's header and content
    assert subprocess.run(["tar", "-t"], input=cut, capture_output=True).returncode == 0
    server = serve({VIDEO_URL: VIDEO_ZIP, ALIGN_URL: cut})
    failed = download(out, "s1", home=server.url, zenodo=server.url)
    assert failed.returncode == 1
    assert f"removed a damaged archive: {server.url}{ALIGN_URL}" in failed.stderr
    assert "archives" not in {path.name for path in out.iterdir()}


def test_an_archive_without_videos_is_removed(serve, out):
    server = serve({VIDEO_URL: zip_of({"readme.txt": b"moved"})})
    failed = download(out, "s1", home=server.url, zenodo=server.url, KEEP_ARCHIVES="1")
    assert failed.returncode == 1
    assert (
        "no .mpg file in" in failed.stderr and "removed an archive that cannot be unpacked" in failed.stderr
    )
    assert files_in(out) == {}


@pytest.mark.parametrize("header", ["Content-MD5: {}", 'ETag: "md5:{}"'])
def test_published_checksums_are_compared(serve, out, header):
    name, value = header.format(hashlib.md5(VIDEO_ZIP).hexdigest()).split(": ")
    server = serve(HOME_PAGE)
    server.headers = {VIDEO_URL: (name, value)}
    assert download(out / "a", "s1", home=server.url, zenodo=server.url).returncode == 0
    server.headers = {VIDEO_URL: (name, header.format("0" * 32).split(": ")[1])}
    failed = download(out / "b", "s1", home=server.url, zenodo=server.url)
    assert failed.returncode == 1
    assert f"removed a damaged archive: {server.url}{VIDEO_URL}" in failed.stderr
