"""A network that brings every page in small bits, as a full cell does."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

BITS = 40
PAUSE_SECONDS = 0.05


@contextmanager
def trickling(bank: str) -> Iterator[str]:
    """The address of a bank behind such a network. Only pages come in bits; pictures, styles and scripts come whole."""

    class Trickle(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is the library's
            answer = httpx.get(f"{bank}{self.path}", headers={"Cookie": self.headers.get("Cookie", "")})
            body, kind = answer.content, answer.headers["Content-Type"]
            self.send_response(answer.status_code)
            self.send_header("Content-Type", kind)
            self.end_headers()
            size = len(body) // BITS + 1 if kind.startswith("text/html") else len(body)
            for at in range(0, len(body), size):
                self.wfile.write(body[at : at + size])
                time.sleep(PAUSE_SECONDS if size < len(body) else 0)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Trickle) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
