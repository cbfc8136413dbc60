"""Prompts of image-to-text models, and what is cut from their output."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from exvad.encoders.captioners.plain_inputs import plain_prompt_tokens, without_prompt


class Tokenizer(SimpleNamespace):
    """A tokenizer of letters that adds begin and end token."""

    bos_token_id, eos_token_id, sep_token_id = 1, 2, None

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [1, *map(ord, text), 2]}


def test_plain_prompt_tokens_end_without_an_end_token() -> None:
    assert plain_prompt_tokens(Tokenizer(), "") == [1]
    assert plain_prompt_tokens(Tokenizer(), "a") == [1, ord("a")]


@pytest.mark.parametrize(
    ("output_ids", "prompt_ids", "generated"),
    [
        ([7, 8, 9], [], [7, 8, 9]),
        ([1, 5, 6, 7], [1, 5, 6], [7]),  # most models return the prompt
        ([4, 5, 6, 7], [1, 5, 6, 2], [7]),  # BLIP
        ([7, 8, 9, 1], [1, 5, 6], [7, 8, 9, 1]),  # some return only what they generated
        ([0, 7, 8], [5, 2], [0, 7, 8]),
    ],
)
def test_without_prompt_cuts_the_tokens_of_the_prompt(
    output_ids: list[int], prompt_ids: list[int], generated: list[int]
) -> None:
    assert without_prompt(output_ids, prompt_ids) == generated
