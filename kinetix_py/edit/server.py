"""Server of the editor's page: what the page of `kinetix_py.play` needs, and the requests of a workshop."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from kinetix_py.edit.workshop import Workshop
from kinetix_py.play.server import PlayHandler, PlayServer
from kinetix_py.play.session import Session

MAX_MESSAGE = 4_000_000  # bytes
# Notebooks are pages of this machine.
NOTEBOOKS = "'self' http://localhost:* http://127.0.0.1:* vscode-webview:"


class EditHandler(PlayHandler):
    """Answers the requests of the editor's page."""

    server: EditServer
    GETS: ClassVar[Mapping[str, str]] = {**PlayHandler.GETS, "/thumbnail": "send_thumbnail"}
    POSTS: ClassVar[Mapping[str, tuple[str, int]]] = {
        **PlayHandler.POSTS,
        **{f"/edit/{name}": ("answer_request", MAX_MESSAGE) for name in Workshop.REQUESTS},
    }

    def answer_request(self, content: bytes) -> None:
        """Answers a request of the page."""
        request = self.path.partition("?")[0].removeprefix("/edit/")
        try:
            self.answer_json(self.server.workshop.answer(request, content))
        except RecursionError:
            self.refuse(HTTPStatus.BAD_REQUEST, "a message must not be nested that deeply")
        except ValueError as error:
            self.refuse(HTTPStatus.BAD_REQUEST, str(error))
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            self.refuse(HTTPStatus.INSUFFICIENT_STORAGE, f"{error.strerror}: {error.filename}")

    def send_thumbnail(self, query: dict[str, str]) -> None:
        """Sends a small picture of a level."""
        try:
            picture = self.server.workshop.thumbnail(query.get("name", ""))
        except ValueError as error:
            self.refuse(HTTPStatus.NOT_FOUND, str(error))
        else:
            self.answer(HTTPStatus.OK, picture.encode(), "image/svg+xml")


class EditServer(PlayServer):
    """Serves the editor, and runs its trials."""

    def __init__(self, session: Session, workshop: Workshop, port: int, *, in_notebook: bool = False):
        """Binds the port; errors as for `LocalServer`.

        Args:
          session: session of the page.
          workshop: answers its requests.
          port: port number; 0 for any free one.
          in_notebook: whether pages of notebooks on this machine may show it in a frame.
        """
        self.workshop = workshop
        ancestors = NOTEBOOKS if in_notebook else "'none'"
        super().__init__(session, port, "edit/page.html", EditHandler, ancestors=ancestors)

    def run_in_background(self) -> list[threading.Thread]:
        """Starts to serve and to run trials, and returns the threads; `stop` ends both."""
        work = [self.serve_forever, self.workshop.trials.run]
        threads = [threading.Thread(target=one, daemon=True) for one in work]
        for thread in threads:
            thread.start()
        return threads

    def stop(self) -> None:
        """Ends the session, its trials and judgement, and the server."""
        self.session.close()
        self.workshop.trials.close()
        self.workshop.judging.cancel()
        self.shutdown()
        self.server_close()
