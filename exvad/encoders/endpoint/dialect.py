"""Parameters that the models of some providers refuse, and what they accept instead."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

_UNSUPPORTED = re.compile(
    r"support|permitted|not allowed|deprecated|recogni[sz]ed|unknown|unexpected|instead|only the",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Dialect:
    """Parameters of a request that some models refuse, in the form that this one accepts.

    Args:
        length: name of the parameter for the maximum length of an answer.
        greedy: whether a request asks for temperature 0; a model that refuses it samples.
    """

    length: str = "max_tokens"
    greedy: bool = True

    def adapt(self, message: str) -> Dialect:
        """Return the dialect that avoids what a provider's message refuses; itself otherwise."""
        if not _UNSUPPORTED.search(message):
            return self
        if self.length == "max_tokens" and re.search(r"\bmax_tokens\b", message):
            return replace(self, length="max_completion_tokens")
        if self.greedy and re.search(r"\btemperature\b", message):
            return replace(self, greedy=False)
        return self

    def parameters(self, max_new_tokens: int) -> dict[str, Any]:
        """Return these parameters of a request."""
        return {self.length: max_new_tokens, **({"temperature": 0} if self.greedy else {})}
