"""Messages count in words that fit the number."""

from __future__ import annotations

import pytest

from exvad.config.counts import count_of


@pytest.mark.parametrize(
    ("number", "noun", "plural", "text"),
    [
        (0, "video", "", "0 videos"),
        (1, "video", "", "1 video"),
        (2, "video", "", "2 videos"),
        (2166, "scene", "", "2,166 scenes"),
        (1, "class", "classes", "1 class"),
        (7, "class", "classes", "7 classes"),
    ],
)
def test_count_of_chooses_the_form_of_the_noun(
    number: int, noun: str, plural: str, text: str
) -> None:
    assert count_of(number, noun, plural) == text
