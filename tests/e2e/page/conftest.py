"""Fixtures of the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.helpers.browsing import Tab, launch_chromium, open_tab
from tests.helpers.page_servers import StreamServer


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a browser. Its scope is a module, because Playwright blocks asyncio while it runs."""
    with launch_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def running_stream_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamServer]:
    """Yield a server whose streams the test itself watches."""
    server = StreamServer(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture
def stream_server(running_stream_server: StreamServer) -> Iterator[StreamServer]:
    """Yield the server without streams, and delete what the test adds."""
    yield running_stream_server
    running_stream_server.delete_streams()


@pytest.fixture
def stream_tab(browser: Browser, stream_server: StreamServer) -> Iterator[Tab]:
    """Yield a tab for the page of `stream_server`."""
    with open_tab(browser, stream_server.url) as tab:
        yield tab
