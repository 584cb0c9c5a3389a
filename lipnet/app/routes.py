"""What the page serves beside Gradio's own addresses: files of results, and pieces of webcam recordings.

The names of results and recordings cannot be guessed, and are told by Gradio's events, which ask for the
password where there is one.
"""

from __future__ import annotations

from queue import Full

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from lipnet.app.files import SessionFiles
from lipnet.app.live import MAX_PIECE, LiveRecordings

# Other people's proxies and the browser's disk keep nothing, and what is opened by itself runs no script.
HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'; media-src 'self'; img-src 'self'",
    "X-Content-Type-Options": "nosniff",
}


def make_routes(files: SessionFiles, recordings: LiveRecordings) -> list[BaseRoute]:
    """``GET result/RESULT/FILE`` and ``POST live/RECORDING``."""

    async def result_file(request: Request) -> Response:
        path = files.find(request.path_params["result"], request.path_params["name"])
        if path is None:
            return PlainTextResponse("no such file; read the video again", 404, HEADERS)
        return FileResponse(path, headers=HEADERS)

    async def piece_of_recording(request: Request) -> Response:
        recording = recordings.find(request.path_params["recording"])
        if recording is None:
            return _problem("the recording has ended; start again", 404)
        piece = b""
        async for part in request.stream():
            piece += part
            if len(piece) > MAX_PIECE:
                return _problem("the piece is too large; start again", 413)
        try:
            recording.add(piece)
        except Full:
            return _problem("this computer is too slow for the webcam; record a video and read it", 503)
        if not piece:
            await run_in_threadpool(recording.finish)
        return JSONResponse({"events": recording.events(), "running": recording.running}, headers=HEADERS)

    return [
        Route("/result/{result}/{name}", result_file, methods=["GET"]),
        Route("/live/{recording}", piece_of_recording, methods=["POST"]),
    ]


def _problem(message: str, status: int) -> Response:
    return JSONResponse({"events": [{"problem": message}], "running": False}, status, HEADERS)
