"""MkDocs hooks: generate the reference pages, list the decisions, refuse external resources."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from scripts.docs.generate import fill

EXTERNAL = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["']?(?:https?:)?//"""
)


def on_config(config: Any) -> Any:
    """List every decision record in the navigation, in order of number."""
    folder = Path(config.docs_dir) / "decisions"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    for entry in config.nav:
        if "Decisions" in entry:
            entry["Decisions"] = [f"decisions/{name}" for name in ("index.md", *records)]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the marks of a page."""
    return fill(markdown)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Return the page as it is, if it loads nothing from another host.

    Raises:
        ValueError: a script, style sheet or image comes from another host.
    """
    external = EXTERNAL.search(output)
    if external is not None:
        raise ValueError(f"{page.file.src_uri}: loads from another host: {external[0]}")
    return output
