"""HTTP server of the page on the local machine, from the standard library.

Frames reach the page as server-sent events (`/events`), keys come back as small POST requests (`/input`).
The address is 127.0.0.1, and requests must name it: a page of some other site can neither read from this
server nor, by a host name of its own that leads here, pass for this one.
"""

from __future__ import annotations

import http.server
import importlib.resources
import socketserver
import sys
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kinetix_py.play.session import MAX_NAME_LENGTH, Session, read_input
from kinetix_py.rendering.player import page_frame

HOST = "127.0.0.1"
MAX_INPUT = 4096  # bytes of a message
HEARTBEAT_SECONDS = 5.0  # between comments on an idle stream; detects closed pages
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the requests of a page."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a frame must not wait for the next one
    server: PlayServer

    def do_GET(self) -> None:
        """Sends the page, or its stream of frames."""
        url = urlsplit(self.path)
        if url.path not in ("/", "/events"):
            self._refuse(HTTPStatus.NOT_FOUND, "there is only /, /events and /input")
        elif self._allowed(own_page_only=url.path == "/events"):
            if url.path == "/":
                self._answer(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
            else:
                self._stream(parse_qs(url.query).get("page", [""])[0])

    def do_POST(self) -> None:
        """Receives keys and commands."""
        length = self.headers.get("Content-Length", "")
        # What is refused is not read, so that nothing can follow it on this connection.
        if urlsplit(self.path).path != "/input":
            self._refuse(HTTPStatus.NOT_FOUND, "there is only /, /events and /input")
        elif not self._allowed(own_page_only=True):
            return
        elif not length.isdecimal() or int(length) > MAX_INPUT:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a message has at most {MAX_INPUT} bytes")
        else:
            try:
                message = read_input(self.rfile.read(int(length)))
            except ValueError as error:
                self._refuse(HTTPStatus.BAD_REQUEST, str(error))
                return
            self.server.session.submit(message)
            self._answer(HTTPStatus.NO_CONTENT, b"", None)

    def _allowed(self, own_page_only: bool) -> bool:
        """Checks that the request names this server and comes from its page; refuses it otherwise."""
        hosts = self.server.hosts
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "same-origin")
        if self.headers.get("Host", "").lower() not in hosts:
            self._refuse(HTTPStatus.FORBIDDEN, f"this server is {self.server.address} and nothing else")
            return False
        foreign = origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}
        if foreign or (own_page_only and site not in ("same-origin", "none")):
            self._refuse(HTTPStatus.FORBIDDEN, "only this server's own page may ask for this")
            return False
        return True

    def _stream(self, page: str) -> None:
        session = self.server.session
        if not 0 < len(page) <= MAX_NAME_LENGTH:
            self._refuse(HTTPStatus.BAD_REQUEST, f"page must be a text of 1 .. {MAX_NAME_LENGTH} letters")
            return
        stream = session.join(page)
        if stream is None:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many pages are open")
            return
        self.close_connection = True  # the stream ends with it
        try:
            self._send_head(HTTPStatus.OK, "text/event-stream")
            self.wfile.write(b"retry: 500\n\n")
            seen = (0, 0)
            while not session.closed:
                level, frame, seen = session.wait_for_update(seen, HEARTBEAT_SECONDS)
                parts = [
                    f"event: {name}\ndata: {text}\n\n"
                    for name, text in (("level", level), ("frame", frame))
                    if text
                ]
                self.wfile.write("".join(parts or [": nothing new\n\n"]).encode())
        except ConnectionError:
            return  # the page was closed
        finally:
            session.leave(page, stream)

    def _send_head(self, status: HTTPStatus, kind: str | None, length: int | None = None) -> None:
        self.send_response(status)
        if kind is not None:
            self.send_header("Content-Type", kind)
        if length is not None and status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in (
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()

    def _answer(self, status: HTTPStatus, content: bytes, kind: str | None) -> None:
        self._send_head(status, kind, len(content))
        self.wfile.write(content)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True
        self._answer(status, f"{reason}\n".encode(), "text/plain; charset=utf-8")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Logs nothing: every key is a request."""


class PlayServer(http.server.ThreadingHTTPServer):
    """Serves the page of one session; answers every request in a thread of its own."""

    daemon_threads = True

    def __init__(self, session: Session, port: int):
        """Binds the port.

        Args:
          session: session that the page belongs to.
          port: port number; 0 for any free one.

        Raises:
          OSError: the port is in use or not allowed.
        """
        self.session = session
        template = importlib.resources.files("kinetix_py.play").joinpath("play.html")
        self.page = page_frame(template).encode()
        super().__init__((HOST, port), Handler)
        # Browsers leave out the port that http has by default.
        ends = ("", ":80") if self.server_port == 80 else (f":{self.server_port}",)
        self.hosts = {name + end for name in (HOST, "localhost") for end in ends}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Reports an error, unless the browser closed the connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """Address to open in a browser."""
        return f"http://{HOST}:{self.server_port}/"

    def server_bind(self) -> None:
        """Binds the port without a query to a name server."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]
