"""A local archive that misbehaves on demand: one scripted answer per request, then the file as it should be."""

import contextlib
import hashlib
import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from astropy.io import fits
from resurvey.archive.manifest import Wanted
from resurvey.archive.release import Release

RELEASE = {
    "name": "sdss_test",
    "root": "https://example.org/sas",
    "survey": "sdss",
    "prefix": "dr16",
    "reduction": [
        {"run2d": ["26"], "top": "sdss", "fibres": 640, "spectra": 6400, "plate_bytes": 57e6, "lite_bytes": 2e5},
        {"run2d": ["*"], "top": "eboss", "fibres": 1000, "spectra": 10000, "plate_bytes": 110e6, "lite_bytes": 2e5},
    ],
    "paths": {
        "lite": "{top}/spectro/redux/{run2d}/spectra/lite/{plate:04d}/spec-{plate:04d}-{mjd}-{fiberid:04d}.fits",
        "plate": "{top}/spectro/redux/{run2d}/{plate:04d}/spPlate-{plate:04d}-{mjd}.fits",
    },
    "checksum": {"suffix": ".sha1sum", "algorithm": "sha1", "name": "last_four_joined"},
    "etiquette": {"connections": 4, "pause_s": 0.0, "retries": 6, "timeout_s": 5},
}


def release(root: str, origin: str = "real", **etiquette) -> Release:
    return Release.from_settings({"release": RELEASE, "root": root, "origin": origin, "etiquette": etiquette})


def fits_bytes(seed: int = 0, rows: int = 20_000, mock: bool = False, sums: bool = False) -> bytes:
    """A FITS file with one table; its digest depends on the seed."""
    primary = fits.PrimaryHDU()
    if mock:
        primary.header["MOCK"] = True
    flux = np.random.default_rng(seed).normal(size=rows).astype("f4")
    hdus = fits.HDUList([primary, fits.BinTableHDU.from_columns([fits.Column("flux", "E", array=flux)])])
    with io.BytesIO() as handle:
        hdus.writeto(handle, checksum=sums)
        return handle.getvalue()


def lite(fibre: int, plate: int = 266, mjd: int = 51630, run2d: str = "26", size: int = 1000) -> Wanted:
    path = release("file:///").path("lite", run2d, plate, mjd, fibre)
    return Wanted(path, plate, mjd, fibre, "lite", run2d, (fibre,), size)


def plate_file(fibres: tuple[int, ...], plate: int = 266, mjd: int = 51630, run2d: str = "26") -> Wanted:
    path = release("file:///").path("plate", run2d, plate, mjd)
    return Wanted(path, plate, mjd, -1, "plate", run2d, fibres, 1000)


def publish(folder: Path, contents: dict[str, bytes], listed: bool = True, name: str | None = None) -> None:
    """Lay files (paths below the release's root) into a folder, with the checksum file of each directory."""
    for path, content in contents.items():
        file = folder / "dr16" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if listed:
            sums = file.parent / (name or release("file:///").checksum_name(str(Path(path).parent)))
            with open(sums, "a") as handle:
                handle.write(f"{hashlib.sha1(content).hexdigest()}  {file.name}\n")


class Server:
    """Serves a folder; `script[path]` holds what it does wrong at the next requests of that path (below the root)."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.script: dict[str, list[dict]] = {}
        self.requests: list[dict] = []
        self.ranges, self.validators, self.guarded = True, True, True  # guarded: honours If-Range
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()

    def sent(self, ending: str) -> list[int]:
        """Bytes of body sent at each request of paths that end so."""
        return [entry["sent"] for entry in self.requests if entry["path"].endswith(ending)]


def _handler(server: Server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_GET(self):
            path = self.path.removeprefix("/sas/")
            entry = {"path": path, "range": self.headers.get("Range"), "sent": 0, "agent": self.headers["User-Agent"]}
            with server.lock:
                server.requests.append(entry)
                fault = server.script[path].pop(0) if server.script.get(path) else {}
                server.busy += 1
                server.most_busy = max(server.busy, server.most_busy)
            try:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.answer(path, entry, fault)
            finally:
                with server.lock:
                    server.busy -= 1

        def answer(self, path, entry, fault):
            file = server.folder / path
            if "status" in fault:
                return self.reply(fault["status"], fault.get("body", b"<html>no</html>"), "text/html", fault, entry)
            if file.is_dir():
                links = "".join(f'<a href="{name.name}">{name.name}</a>' for name in file.iterdir())
                return self.reply(200, f"<html>{links}</html>".encode(), "text/html", fault, entry)
            if not file.is_file():
                return self.reply(404, b"<html>Not Found</html>", "text/html", fault, entry)
            content = fault.get("content", file.read_bytes())
            etag = f'"{fault.get("etag", hashlib.md5(content).hexdigest())}"'
            headers = {"ETag": etag} if server.validators else {}
            status, body = 200, content
            guard = self.headers.get("If-Range", etag) if server.guarded else etag
            if entry["range"] and server.ranges and guard == etag:
                first = int(entry["range"].removeprefix("bytes=").rstrip("-")) + fault.get("shift", 0)
                status, body = 206, content[first:]
                headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            self.reply(status, body, "application/fits", {**fault, "headers": headers}, entry)

        def reply(self, status, body, kind, fault, entry):
            self.send_response(status)
            self.send_header("Content-Type", fault.get("type", kind))
            self.send_header("Content-Length", str(len(body)))
            for name, value in fault.get("headers", {}).items():
                self.send_header(name, value)
            self.end_headers()
            body = body[: fault.get("cut", len(body))]
            for start in range(0, len(body), 8192):
                time.sleep(fault.get("slow", 0))
                entry["sent"] += self.wfile.write(body[start : start + 8192])
                self.wfile.flush()
            if "cut" in fault:
                self.close_connection = True

    return Handler


@contextlib.contextmanager
def serving(folder: Path):
    """(Server, root URL) for the folder; root/dr16/… are its files."""
    state = Server(folder)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state, f"http://127.0.0.1:{http.server_port}/sas"
    finally:
        http.shutdown()
        http.server_close()
