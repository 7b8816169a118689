"""Page: a local page that shows what it is told, and hands on what its buttons say. Of the standard library alone."""

import http.server
import json
import pathlib
import queue
import secrets
import threading
from typing import Any

HTML = pathlib.Path(__file__).with_name("page.html")
COMMANDS = ("pause", "step", "next_layer", "back", "batch", "continue", "end", "to", "value", "gradient")
_MOST = 1 << 16  # bytes of a command


class Page:
    """Served by a thread of its own on 127.0.0.1, to whoever knows the token of its address. What it shows is plain data; its commands
    are words of a list, and names, never code.

    Args:
        port: 0 for any that is free.

    Raises:
        OSError: The port is taken.
    """

    def __init__(self, port: int = 0):
        self._token = secrets.token_urlsafe(16)
        self._shown: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._commands: queue.Queue[dict[str, str]] = queue.Queue()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/?token={self._token}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True, name="mlkit page"
        ).start()

    def show(self, **values: Any) -> None:
        """Let it show these, and what it shows under other names as before."""
        with self._lock:
            self._shown = {**self._shown, **values, "version": self._shown.get("version", 0) + 1}

    def wait(self) -> dict[str, str]:
        """The next command: "do", one of COMMANDS, and perhaps "name"."""
        return self._commands.get()

    def waiting(self) -> list[dict[str, str]]:
        """The commands that have come, without waiting."""
        found = []
        while not self._commands.empty():
            found.append(self._commands.get())
        return found

    def close(self) -> None:
        """Take it down."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers those who know the token and name this machine as the host, so that no page of others can ask."""

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                if not self._is_allowed() or (path == "/" and query != f"token={page._token}"):
                    self._answer(403, "text/plain", b"The address needs the token that training printed.")
                elif path == "/":
                    self._answer(200, "text/html; charset=utf-8", HTML.read_bytes())
                elif path == "/state" and self._has_token():
                    with page._lock:
                        shown = page._shown
                    self._answer(200, "application/json", json.dumps(shown).encode())
                else:
                    self._answer(404, "text/plain", b"There is no such page.")

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not (self._is_allowed() and self._has_token() and self.path == "/command"):
                    self._answer(403, "text/plain", b"Not allowed.")
                elif not length.isdecimal() or int(length) > _MOST:
                    self._answer(413, "text/plain", b"Too long.")
                elif (command := _command(self.rfile.read(int(length)))) is None:
                    self._answer(400, "text/plain", b"No such command.")
                else:
                    page._commands.put(command)
                    self._answer(204, "text/plain", b"")

            def _is_allowed(self) -> bool:
                return self.headers.get("Host") in (f"127.0.0.1:{page.port}", f"localhost:{page.port}")

            def _has_token(self) -> bool:
                return secrets.compare_digest(self.headers.get("X-Token", "").encode(), page._token.encode())

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; "
                                 "style-src 'unsafe-inline'; connect-src 'self'; img-src data:")  # fmt: skip
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing is printed beside the progress bar."""

        return Handler


def _command(body: bytes) -> dict[str, str] | None:
    """What a body asks for; None for what is no command."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("do") not in COMMANDS or not isinstance(found.get("name", ""), str):
        return None
    return {"do": found["do"], "name": found.get("name", "")}
