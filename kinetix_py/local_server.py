"""HTTP server of pages on the local machine, from the standard library.

The address is 127.0.0.1, and requests must name it: a page of some other site can neither read from such a
server nor, by a host name of its own that leads here, pass for this one.
"""

from __future__ import annotations

import http.server
import json
import socketserver
import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
)


class LocalHandler(http.server.BaseHTTPRequestHandler):
    """Answers the requests of a page.

    Attributes:
      PAGE: path of the page itself; everything else is for the page alone.
      GETS: method for each path that can be read.
      POSTS: method for each path that takes a message, and the most bytes of one.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a frame must not wait for the next one
    server: LocalServer
    PAGE: ClassVar[str] = "/"
    GETS: ClassVar[Mapping[str, str]] = {"/": "send_page"}
    POSTS: ClassVar[Mapping[str, tuple[str, int]]] = {}

    def do_GET(self) -> None:
        """Sends the page, or something that it asks for."""
        url = self._url()
        if url is None or url.path not in self.GETS:
            self.refuse(HTTPStatus.NOT_FOUND, self._paths())
        elif self._allowed(own_page_only=url.path != self.PAGE):
            getattr(self, self.GETS[url.path])(
                {name: values[0] for name, values in parse_qs(url.query).items()}
            )

    def do_POST(self) -> None:
        """Receives a message."""
        url = self._url()
        length = self.headers.get("Content-Length", "")
        # What is refused is not read, so that nothing can follow it on this connection.
        if url is None or url.path not in self.POSTS:
            self.refuse(HTTPStatus.NOT_FOUND, self._paths())
            return
        method, most = self.POSTS[url.path]
        if not self._allowed(own_page_only=True):
            return
        if not (length.isascii() and length.isdecimal() and len(length) < 12 and int(length) <= most):
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a message has at most {most} bytes")
        else:
            getattr(self, method)(self.rfile.read(int(length)))

    def _url(self) -> Any:
        try:
            return urlsplit(self.path)
        except ValueError:  # such as a bracket that opens an address of another version
            return None

    def _paths(self) -> str:
        return f"there is only {', '.join((*self.GETS, *self.POSTS))}"

    def _allowed(self, own_page_only: bool) -> bool:
        """Checks that the request names this server and comes from its page; refuses it otherwise."""
        hosts = self.server.hosts
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "same-origin")
        if self.headers.get("Host", "").lower() not in hosts:
            self.refuse(HTTPStatus.FORBIDDEN, f"this server is {self.server.address} and nothing else")
            return False
        foreign = origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}
        if foreign or (own_page_only and site not in ("same-origin", "none")):
            self.refuse(HTTPStatus.FORBIDDEN, "only this server's own page may ask for this")
            return False
        return True

    def send_page(self, query: dict[str, str]) -> None:
        """Sends the page."""
        self.answer(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")

    def send_head(self, status: HTTPStatus, kind: str | None, length: int | None = None) -> None:
        """Sends the status and the headers of an answer.

        Args:
          status: status.
          kind: type of the content; None without content.
          length: bytes of the content; None if it ends with the connection.
        """
        self.send_response(status)
        if kind is not None:
            self.send_header("Content-Type", kind)
        if length is not None and status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in (
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", CONTENT_SECURITY_POLICY.format(ancestors=self.server.ancestors)),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()

    def answer(self, status: HTTPStatus, content: bytes, kind: str | None) -> None:
        """Sends an answer."""
        self.send_head(status, kind, len(content))
        self.wfile.write(content)

    def answer_json(self, content: Any) -> None:
        """Sends a value as JSON."""
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        self.answer(HTTPStatus.OK, text.encode(), "application/json")

    def refuse(self, status: HTTPStatus, reason: str) -> None:
        """Sends an error and ends the connection."""
        self.close_connection = True
        self.answer(status, f"{reason}\n".encode("utf-8", "replace"), "text/plain; charset=utf-8")

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: every key is a request."""


class LocalServer(http.server.ThreadingHTTPServer):
    """Serves one page; answers every request in a thread of its own.

    Attributes:
      page: the page's HTML.
      ancestors: origins whose pages may show it in a frame, as in a Content-Security-Policy.
    """

    daemon_threads = True

    def __init__(
        self, page: str, port: int, handler: type[LocalHandler] = LocalHandler, *, ancestors: str = "'none'"
    ):
        """Binds the port.

        Args:
          page: the page's HTML.
          port: port number; 0 for any free one.
          handler: class that answers requests.
          ancestors: origins whose pages may show it in a frame.

        Raises:
          OSError: the port is in use or not allowed.
        """
        self.page, self.ancestors = page.encode(), ancestors
        super().__init__((HOST, port), handler)
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
