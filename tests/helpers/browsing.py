"""A real browser for tests of the page: tabs that record errors, and accessibility checks."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

BROWSER_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]  # fmt: skip
TIMEOUT_MS = 20_000  # long enough for a busy machine
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
MARKUP = "<img src=x onerror=\"document.title='owned'\">"
MIN_CONTRAST = 4.5  # WCAG 2.2, level AA, for text
MAX_TAB_PRESSES = 150

# The contrast of every visible text with its background, as WCAG 2.2 defines it.
CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let ancestor = element; ancestor; ancestor = ancestor.parentElement) {
      const { backgroundColor } = getComputedStyle(ancestor);
      const alpha = channels(backgroundColor)[3] ?? 1;
      if (alpha === 1) return backgroundColor;
      if (alpha !== 0) throw new Error("a half transparent background");
    }
    throw new Error("no background");
  };
  const contrasts = {};
  for (const element of document.body.querySelectorAll("*")) {
    const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
    if (![...element.childNodes].some(isText) || !element.checkVisibility()) continue;
    const pair = [getComputedStyle(element).color, background(element)].map(luminance);
    const [light, dark] = pair.sort((a, b) => b - a);
    contrasts[element.textContent.trim()] = (light + 0.05) / (dark + 0.05);
  }
  return contrasts;
}"""

NUM_CONTROLS = """() => {
  const selector = "a[href], button, input, textarea, video, summary";
  const isUsable = (control) => control.checkVisibility() && !control.disabled;
  return [...document.querySelectorAll(selector)].filter(isUsable).length;
}"""

# Remember the focused element; return whether its focus is visible, or null if none has focus.
IS_FOCUS_VISIBLE = """() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const hasOutline = (candidate) => getComputedStyle(candidate).outlineStyle !== "none";
  window.tabStops ??= new Set();
  window.tabStops.add(element);
  return hasOutline(element) || hasOutline(element.parentElement);
}"""

OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"

# Roles that need an accessible name.
NAMED_ROLES = {
    "button", "link", "textbox", "spinbutton", "checkbox", "image", "progressbar", "region",
    "navigation", "Video", "DisclosureTriangle",
}  # fmt: skip


class Tab:
    """A tab of the browser that records errors and requests to other servers.

    Args:
        page: Playwright's page.
        url: the server's address, without a slash at the end.

    Attributes:
        errors: errors and warnings of the console, and uncaught exceptions.
        foreign_requests: addresses of requests to other servers.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.errors: list[str] = []
        self.foreign_requests: list[str] = []
        page.set_default_timeout(TIMEOUT_MS)
        page.on(
            "console",
            lambda message: self._record_message(
                message.type, f"{message.text} {message.location['url']}"
            ),
        )
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._record_request(request.url))

    def _record_message(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)

    def _record_request(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.foreign_requests.append(url)

    def expect_errors(self, pattern: str) -> None:
        """Drop recorded errors that match a regular expression: the test provoked them."""
        self.errors = [text for text in self.errors if not re.search(pattern, text)]

    def open(self, path: str = "") -> Page:
        """Open a path of the server, such as `#live`."""
        self.page.goto(f"{self.url}/{path}")
        return self.page


@contextmanager
def launch_chromium() -> Iterator[Browser]:
    """Start Chromium. Skip the test where it is not installed, but fail it where CI is set."""
    program = shutil.which("chromium")
    if program is None:
        reason = "chromium is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=BROWSER_ARGUMENTS)
        expect.set_options(timeout=TIMEOUT_MS)
        yield browser
        browser.close()


@contextmanager
def open_tab(browser: Browser, url: str, **options: Any) -> Iterator[Tab]:
    """Open a tab; at the end, check that it had no errors and sent no foreign requests.

    Args:
        browser: the browser.
        url: the server's address.
        options: of Playwright's browser context.
    """
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    tab = Tab(context.new_page(), url)
    try:
        yield tab
        assert not tab.errors, tab.errors
        assert not tab.foreign_requests, tab.foreign_requests
    finally:
        context.close()


def horizontal_overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its viewport."""
    pixels: int = page.evaluate(OVERFLOW)
    return pixels


def roles_without_name(page: Page) -> list[str]:
    """Return the roles of elements that should have an accessible name but have none."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    return [
        node["role"]["value"]
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in NAMED_ROLES
        and not node.get("name", {}).get("value")
    ]


def low_contrast_texts(page: Page) -> dict[str, float]:
    """Return the visible texts whose contrast is below `MIN_CONTRAST`, with their contrast."""
    contrasts: dict[str, float] = page.evaluate(CONTRASTS)
    assert len(contrasts) > 10
    return {text: contrast for text, contrast in contrasts.items() if contrast < MIN_CONTRAST}


def num_controls(page: Page) -> int:
    """Return the number of visible, enabled controls."""
    count: int = page.evaluate(NUM_CONTROLS)
    return count


def num_tab_stops(page: Page) -> int:
    """Press Tab until the focus has been everywhere; return the number of elements that had it.

    Asserts that the focus is always visible.
    """
    page.evaluate("() => { document.activeElement.blur(); window.tabStops = new Set(); }")
    rounds = 0  # the first round starts where the focus was, so it may be incomplete
    for _ in range(MAX_TAB_PRESSES):
        page.keyboard.press("Tab")
        is_visible = page.evaluate(IS_FOCUS_VISIBLE)
        if is_visible is None:
            rounds += 1
            if rounds == 2:
                break
            continue
        assert is_visible, page.evaluate("() => document.activeElement.outerHTML")
    count: int = page.evaluate("() => window.tabStops.size")
    return count
