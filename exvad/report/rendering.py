"""Rendering of templates: the one Jinja2 environment of every page and drawing.

Templates escape every value. A page stands alone: `embed` puts a style sheet or script of the
templates' folder into it, and `script_hash` is what a content security policy allows it by.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import exvad

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: object) -> str:
    """Render a template.

    Args:
        template: name of a file in `exvad/report/templates/`.
        values: the variables of the template.

    Raises:
        jinja2.UndefinedError: the template uses a variable that is not given.
    """
    return _environment().get_template(template).render(**values)


def embed(name: str) -> Markup:
    """Return a style sheet or script of the templates' folder, to be inserted without escaping."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def script_hash(name: str) -> str:
    """Return the source expression `sha256-…` of a script for a content security policy."""
    digest = hashlib.sha256((TEMPLATES / name).read_bytes()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def format_pixels(value: float) -> str:
    """Return a coordinate of a drawing with one decimal; the filter `px` of templates."""
    return f"{value:.1f}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["px"] = format_pixels
    environment.globals.update(embed=embed, script_hash=script_hash, version=exvad.__version__)
    return environment
