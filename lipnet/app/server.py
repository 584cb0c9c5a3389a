"""The server of the page: it listens at an address until it is stopped, and leaves no file behind."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

from lipnet.errors import LipnetError
from lipnet.utils.files import LOCK_NAME, lock_folder

MAX_UPLOAD = "200mb"
LOCAL = "127.0.0.1"
PREFIX = "lipnet-page-"  # of the name of the folder for temporary files


def check_address(host: str, auth: str | None) -> tuple[str, str] | None:
    """The name and password of ``auth``, USER:PASSWORD.

    Raises LipnetError if it has no such form, or if other computers can reach ``host`` without a password.
    """
    if auth is None:
        if not _is_local(host):
            raise LipnetError(f"--host {host}: other people can reach this page; give --auth USER:PASSWORD")
        return None
    user, colon, password = auth.partition(":")
    if not (user and colon and password):
        raise LipnetError("--auth: give a name and a password with a colon between, USER:PASSWORD")
    return user, password


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def delete_left_behind() -> None:
    """Delete the files of servers that were killed: those in whose folder no process works any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if not (folder / LOCK_NAME).exists():  # another server has just made it
            continue
        with suppress(LipnetError, OSError), lock_folder(folder):
            shutil.rmtree(folder)


def free_port(host: str, port: int) -> int:
    """``port``, or any that is free for 0. Raises LipnetError if the address cannot be listened at."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as listening:
            return int(listening.getsockname()[1])
    except (OSError, OverflowError) as error:
        hint = "give another --port, or --host"
        raise LipnetError(f"{host} port {port}: cannot be listened at ({error}); {hint}") from error


def serve(weights: Sequence[Path], device: str, host: str, port: int, auth: tuple[str, str] | None) -> None:
    """Serve the page until the process is interrupted.

    Args:
        weights: files, of which the page's user may choose.
        device: auto, cpu, cuda or cuda:N.
        host, port: the address to listen at; port 0: any that is free.
        auth: name and password, asked for before the page is shown.

    Raises:
        LipnetError: weights, a device or an address that cannot be used.
    """
    port = free_port(host, port)
    delete_left_behind()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as root, lock_folder(Path(root)):
        os.environ["GRADIO_TEMP_DIR"] = str(Path(root) / "uploads")  # read when Gradio is imported
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        _serve(Path(root), weights, device, host, port, auth)


def _serve(
    root: Path, weights: Sequence[Path], device: str, host: str, port: int, auth: tuple[str, str] | None
) -> None:
    try:
        import gradio as gr
    except ImportError as error:
        raise LipnetError(f"the page needs Gradio ({error}); pip install -e '.[app]'") from error
    from lipnet.app.files import SessionFiles
    from lipnet.app.live import LiveRecordings
    from lipnet.app.page import SCRIPTS, STYLE, THEME, Page, build_page
    from lipnet.app.readers import Readers
    from lipnet.app.routes import make_routes

    files = SessionFiles(root)
    recordings = LiveRecordings(max(1, (os.cpu_count() or 1) // 2))
    page = Page(Readers(weights, device), files, recordings)
    blocks = build_page(page)
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        auth=auth,
        max_file_size=MAX_UPLOAD,
        theme=gr.themes.Default(**THEME),
        css_paths=STYLE,
        head_paths=SCRIPTS,
        footer_links=[],
        run_history=False,
        share=False,
        ssr_mode=False,
        quiet=True,
        prevent_thread_lock=True,
        app_kwargs={"routes": make_routes(files, recordings)},
    )
    Thread(target=page.prepare, daemon=True).start()
    print(f"{address}  (Ctrl-C ends it)", flush=True)
    try:
        while True:
            time.sleep(3600)
    finally:
        page.close()
        blocks.close(verbose=False)
