"""Pages in a headless browser, one command each."""

from __future__ import annotations

from typing import Protocol


class Browser(Protocol):
    """Opens a page in headless Chromium; the fixture `browser` of the tests of reports."""

    def __call__(self, html: str, *flags: str) -> str:
        """Return what the browser prints for a page, such as its DOM with `--dump-dom`."""
        ...
