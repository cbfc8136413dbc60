"""A loss that is nearly all one term is named."""

from __future__ import annotations

import pytest

from exvad.training.balance import drowning_term


@pytest.mark.parametrize(
    ("bce", "mce", "cts", "named"),
    [
        (0.7, 1.9, 5.9, "λ · L_cts is 69% of the loss"),
        (0.01, 3.0, 0.0, "L_MCE is 100%"),
        (0.6, 0.01, 0.0, "L_BCE is 98%"),
    ],
)
def test_drowning_term_names_the_term_and_a_setting(
    bce: float, mce: float, cts: float, named: str
) -> None:
    sentence = drowning_term({"bce": bce, "mce": mce, "cts": cts}, 1)
    assert sentence is not None
    assert named in sentence
    assert "train." in sentence


@pytest.mark.parametrize(
    ("bce", "mce", "cts", "lambda_"),
    [(0.7, 2.6, 0.0, 1), (0.7, 1.9, 5.9, 1e-2), (0.001, 0.03, 0.05, 1)],
)
def test_drowning_term_is_silent_about_a_balanced_or_a_small_loss(
    bce: float, mce: float, cts: float, lambda_: float
) -> None:
    assert drowning_term({"bce": bce, "mce": mce, "cts": cts}, lambda_) is None
