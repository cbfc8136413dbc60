"""Templates escape values, embed files, and name missing variables."""

from __future__ import annotations

import base64
import hashlib

import jinja2
import pytest

from exvad.report.rendering import TEMPLATES, embed, render, script_hash


def test_render_escapes_values() -> None:
    page = render("tables.html.j2", title="<b> & 'c'", tables=[], drawings=[])
    assert "<title>&lt;b&gt; &amp; &#39;c&#39;</title>" in page


def test_render_refuses_a_missing_variable() -> None:
    with pytest.raises(jinja2.UndefinedError, match="tables"):
        render("tables.html.j2", title="x", drawings=[])


def test_embed_and_script_hash_are_those_of_the_file() -> None:
    script = (TEMPLATES / "report.js").read_text("utf-8")
    assert str(embed("report.js")) == script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert script_hash("report.js") == f"sha256-{digest}"
