"""Additional classes that a request may name: class name → phrases that describe the class."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, Field, TypeAdapter, ValidationError

EXAMPLE = '{"shoplifting": ["someone hides goods in a bag"]}'
MAX_CATEGORIES = 32
MAX_PHRASES = 64

ClassName = Annotated[str, Field(min_length=1, max_length=100)]
Phrase = Annotated[str, Field(min_length=1, max_length=300)]
Categories = Annotated[
    dict[ClassName, Annotated[list[Phrase], Field(min_length=1, max_length=MAX_PHRASES)]],
    Field(
        max_length=MAX_CATEGORIES,
        description="additional classes, with phrases for each; `look_for` is another name of it",
    ),
]
NormalScenes = Annotated[
    list[Phrase],
    Field(
        max_length=MAX_PHRASES,
        description="further normal scenes of this camera, such as: people jog here; "
        "for detection without training only",
    ),
]
# `--look-for` and the file of a detector without training call them so.
CATEGORIES_NAMES = AliasChoices("categories", "look_for")
TWO_NAMES = "look_for is another name of categories: give one of them"
_ADAPTER = TypeAdapter(Categories)


def refuse_two_names(values: Any) -> Any:
    """Return the values of a request, which may have the categories under one name only.

    Raises:
        ValueError: it has both.
    """
    if isinstance(values, dict) and {"categories", "look_for"} <= values.keys():
        raise ValueError(TWO_NAMES)
    return values


def parse_categories(text: str) -> Categories:
    """Parse additional classes that were written as JSON.

    Args:
        text: a JSON object, such as `EXAMPLE`.

    Returns:
        Class name → phrases.

    Raises:
        ValueError: the text is not a JSON object of lists of phrases, or exceeds a limit.
    """
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise ValueError(f"categories: {error.errors()[0]['msg']}; write {EXAMPLE}") from None
