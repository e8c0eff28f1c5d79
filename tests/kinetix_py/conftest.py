"""Fixtures of several files."""

from __future__ import annotations

import pytest

from tests import webdriver
from tests.kinetix_py.editor_page import Page, start_server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder that the editor's page works in."""
    return tmp_path_factory.mktemp("levels")


@pytest.fixture(scope="module")
def editor_server(folder):
    """The server of the editor's page."""
    server = start_server(folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def page(editor_server):
    """The editor's page in a browser."""
    with webdriver.browser(Page) as window:
        window.resize(1300, 900)
        window.open(editor_server.address)
        window.wait("doc && start_")
        yield window
