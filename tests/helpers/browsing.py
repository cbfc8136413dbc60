"""A real browser for tests: tabs that keep what goes wrong in them, and what a person can tell."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]  # fmt: skip
PATIENCE = 20_000  # milliseconds, for a machine that is busy
PHONE = {"width": 390, "height": 844}
MARKUP = "<img src=x onerror=\"document.title='owned'\">"

# Every text that is seen, with its contrast by WCAG 2.2: colour on what lies behind it.
CONTRASTS = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      const alpha = parts(backgroundColor)[3] ?? 1;
      if (alpha === 1) return backgroundColor;
      if (alpha !== 0) throw new Error("a half transparent ground");
    }
    throw new Error("no ground");
  };
  const found = {};
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const { color } = getComputedStyle(element);
    const [high, low] = [light(color), light(behind(element))].sort((a, b) => b - a);
    found[element.textContent.trim()] = (high + 0.05) / (low + 0.05);
  }
  return found;
}"""

# What can be reached by keyboard, and is there to be seen.
CONTROLS = """() => {
  const kinds = "a[href], button, input, textarea, video, summary";
  const seen = (each) => each.checkVisibility() && !each.disabled;
  return [...document.querySelectorAll(kinds)].filter(seen).length;
}"""

# What has focus, once each; whether it can be told from looking.
FOCUSED = """() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const outlined = (each) => getComputedStyle(each).outlineStyle !== "none";
  window.reached ??= new Set();
  window.reached.add(element);
  return outlined(element) || outlined(element.parentElement);
}"""

WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Tab:
    """A tab of the browser that keeps what went wrong in it, and where it asked."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.wrong: list[str] = []
        self.elsewhere: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on(
            "console", lambda said: self._said(said.type, f"{said.text} {said.location['url']}")
        )
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda asked: self._asked(asked.url))

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.wrong.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.elsewhere.append(url)

    def only_wrong(self, pattern: str) -> None:
        """Let pass what this test brought about."""
        self.wrong = [text for text in self.wrong if not re.search(pattern, text)]

    def open(self, place: str = "") -> Page:
        self.page.goto(f"{self.url}/{place}")
        return self.page


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; without it tests are skipped, but never where CI is set."""
    found = shutil.which("chromium")
    if found is None:
        missing = "chromium is not here: the page can't be tried"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str, **given: Any) -> Iterator[Tab]:
    """Open a tab; at its end nothing may have gone wrong, and nobody else been asked."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **given})
    tab = Tab(context.new_page(), url)
    try:
        yield tab
        assert tab.wrong == []
        assert tab.elsewhere == []
    finally:
        context.close()


def unnamed_controls(page: Page) -> list[str]:
    """The roles of what a screen reader can only call by its role."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "link", "textbox", "spinbutton", "checkbox", "image", "progressbar",
             "region", "navigation", "Video", "DisclosureTriangle"}  # fmt: skip
    return [
        node["role"]["value"]
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in roles
        and not node.get("name", {}).get("value")
    ]


def too_faint(page: Page) -> dict[str, float]:
    """The texts whose contrast is below what WCAG asks for."""
    contrasts: dict[str, float] = page.evaluate(CONTRASTS)
    assert len(contrasts) > 10
    return {text: ratio for text, ratio in contrasts.items() if ratio < 4.5}


def reached_by_tab(page: Page) -> int:
    """Press Tab until the focus has been everywhere; return how many places that were."""
    page.evaluate("() => { document.activeElement.blur(); window.reached = new Set(); }")
    rounds = 0  # the first begins wherever the focus was
    for _ in range(150):
        page.keyboard.press("Tab")
        seen = page.evaluate(FOCUSED)
        if seen is None:
            rounds += 1
            if rounds == 2:
                break
            continue
        assert seen, page.evaluate("() => document.activeElement.outerHTML")
    found: int = page.evaluate("() => window.reached.size")
    return found
