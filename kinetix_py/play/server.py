"""Server of the page that plays levels.

Frames reach the page as server-sent events (`/events`), keys come back as small POST requests (`/input`).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from kinetix_py.local_server import LocalHandler, LocalServer
from kinetix_py.play.session import MAX_NAME_LENGTH, Session, read_input
from kinetix_py.rendering.player import page_frame

MAX_INPUT = 4096  # bytes of a message
HEARTBEAT_SECONDS = 5.0  # between comments on an idle stream; detects closed pages


class PlayHandler(LocalHandler):
    """Answers the requests of a page that plays."""

    server: PlayServer
    GETS: ClassVar[Mapping[str, str]] = {"/": "send_page", "/events": "stream"}
    POSTS: ClassVar[Mapping[str, tuple[str, int]]] = {"/input": ("receive_input", MAX_INPUT)}

    def receive_input(self, content: bytes) -> None:
        """Receives keys and commands."""
        try:
            message = read_input(content)
        except ValueError as error:
            self.refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        self.server.session.submit(message)
        self.answer(HTTPStatus.NO_CONTENT, b"", None)

    def stream(self, query: dict[str, str]) -> None:
        """Sends levels and frames until the page is closed."""
        session, page = self.server.session, query.get("page", "")
        if not 0 < len(page) <= MAX_NAME_LENGTH:
            self.refuse(HTTPStatus.BAD_REQUEST, f"page must be a text of 1 .. {MAX_NAME_LENGTH} letters")
            return
        stream = session.join(page)
        if stream is None:
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many pages are open")
            return
        self.close_connection = True  # the stream ends with it
        try:
            self.send_head(HTTPStatus.OK, "text/event-stream")
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


class PlayServer(LocalServer):
    """Serves the page of one session."""

    def __init__(
        self,
        session: Session,
        port: int,
        page: str = "play/play.html",
        handler: type[PlayHandler] = PlayHandler,
        *,
        ancestors: str = "'none'",
    ):
        """Binds the port; errors as for `LocalServer`.

        Args:
          session: session that the page belongs to.
          port: port number; 0 for any free one.
          page: path of the page in this package.
          handler: class that answers its requests.
          ancestors: origins whose pages may show it in a frame.
        """
        self.session = session
        super().__init__(page_frame(page), port, handler, ancestors=ancestors)
