"""Takes the screenshot of the editor for its page of the documentation; needs Chromium.

python -m tools.make_editor_picture
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile

from kinetix_py.edit.folder import Folder
from kinetix_py.edit.judge import Judging
from kinetix_py.edit.server import EditServer
from kinetix_py.edit.trial import Trials
from kinetix_py.edit.workshop import Workshop
from kinetix_py.play.session import Session

OUT = pathlib.Path(__file__).resolve().parent.parent / "docs" / "editor.png"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1180,800")


def main() -> None:
    """Writes docs/editor.png."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        session = Session()
        workshop = Workshop(Folder(folder, ["car_ramp"]), Trials(session), Judging())
        server = EditServer(session, workshop, 0)
        server.run_in_background()
        try:
            command = [chromium, *FLAGS, "--virtual-time-budget=20000", f"--user-data-dir={folder}/profile"]
            subprocess.run([*command, f"--screenshot={OUT}", server.address], check=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
