"""An HTTP server of a few files, as the mirrors of GRID are, and the archives that it has."""

import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def zip_of(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tar_of(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class FileServer(ThreadingHTTPServer):
    """Serves files (path -> bytes) until it is stopped; its ``requests`` are recorded."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.requests, self.headers = dict(files), [], {}
        self.can_continue, self.breaks_off_at = True, None
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.reply(with_body=False)

    def do_GET(self):
        self.reply(with_body=True)

    def reply(self, with_body):
        server = self.server
        path = self.path.partition("?")[0]
        requested = self.headers.get("Range")
        server.requests.append((self.command, path, requested))
        body = server.files.get(path)
        if body is None:
            self.send_error(404)
            return
        start = 0
        if requested and server.can_continue:
            start = int(requested.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        if path in server.headers:
            self.send_header(*server.headers[path])
        self.end_headers()
        if with_body:
            self.wfile.write(body[start : server.breaks_off_at])

    def log_message(self, *_):
        pass
