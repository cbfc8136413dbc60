"""Whether one term of the loss drowns the others."""

from __future__ import annotations

from collections.abc import Mapping

LEARNED = 0.1  # a loss below which it doesn't matter what it consists of
# L_MCE has more to say than L_BCE, ln C against ln 2 at the start; L_cts should only help.
LIMITS = {"bce": 0.9, "mce": 0.9, "cts": 0.5}
REMEDIES = {
    "bce": (
        "L_BCE",
        "the classes are learned and the scores are not: raise train.text_dropout, or train.epochs",
    ),
    "mce": ("L_MCE", "the classes are hardly learned: raise model.tau, or train.epochs"),
    "cts": (
        "λ · L_cts",
        "it is about what all label embeddings have in common: set model.centred_labels=true, "
        "or lower train.lambda",
    ),
}


def cts_share(metrics: Mapping[str, float], lambda_: float) -> float:
    """Return the share of λ · L_cts in a loss; see `drowning_term`."""
    weighted = _weighted(metrics, lambda_)
    return weighted["cts"] / sum(weighted.values())


def drowning_term(metrics: Mapping[str, float], lambda_: float) -> str | None:
    """Return a sentence about the term that makes up nearly all of a loss; None if none does.

    Args:
        metrics: the mean loss terms of an epoch, `bce`, `mce` and `cts`.
        lambda_: λ, the weight of `cts`.
    """
    weighted = _weighted(metrics, lambda_)
    total = sum(weighted.values())
    if total < LEARNED:
        return None
    for name, value in weighted.items():
        if value > LIMITS[name] * total:
            title, remedy = REMEDIES[name]
            return f"{title} is {value / total:.0%} of the loss at the end; {remedy}"
    return None


def _weighted(metrics: Mapping[str, float], lambda_: float) -> dict[str, float]:
    return {"bce": metrics["bce"], "mce": metrics["mce"], "cts": lambda_ * metrics["cts"]}
