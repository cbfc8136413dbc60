"""Whether a stream lies outside of what its checkpoint was trained on.

D feature width · P numbers of a profile
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from exvad.results.live import LiveNotice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.inference.domain import Domain
    from exvad.live.settings import LiveSettings
    from exvad.results import DomainCheck

BACK_INSIDE = 0.9  # of the limit: a stream at the limit does not change sides at every snippet


class LiveDomain:
    """Compares the newest snippets of a stream with those of training.

    Args:
        domain: statistics of the training features; None without any.
        about: a sentence about the checkpoint, part of the notice.
        settings: the window of snippets that are compared, and how many of them at least.
    """

    def __init__(self, domain: Domain | None, about: str, settings: LiveSettings) -> None:
        self._domain, self._about = domain, about
        self._profiles: deque[NDArray[np.float64]] = deque(maxlen=settings.window)
        self._least = min(settings.context, settings.window)
        self._outside: DomainCheck | None = None  # the newest check while the stream is outside

    @property
    def notice(self) -> str:
        """The notice in words while the stream is outside; else empty."""
        return "" if self._outside is None else self._outside.text

    @property
    def confidence_weight(self) -> float:
        """What confidences are multiplied by."""
        return 1.0 if self._outside is None else self._outside.confidence_weight

    def add(self, visual_D: NDArray[np.float16]) -> list[LiveNotice]:
        """Add the next snippet; return a notice if the stream leaves the domain or is back.

        Args:
            visual_D: its image feature.
        """
        if self._domain is None:
            return []
        self._profiles.append(self._domain.profiles(visual_D[None])[0])
        if len(self._profiles) < self._least:
            return []
        was_outside = self._outside is not None
        check = self._domain.check(np.stack(self._profiles), self._about, stretch=True)
        assert check.distance is not None
        if check.state == "outside":
            self._outside = check
            if was_outside:
                return []
            return [LiveNotice(kind="domain", text=check.text, outside=True)]
        if not was_outside or check.distance > BACK_INSIDE:
            return []
        self._outside = None
        return [LiveNotice(kind="domain", text=check.text)]
