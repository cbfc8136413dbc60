"""The states of an alert, one after the other: what a later one keeps of those before."""

from __future__ import annotations

from exvad.results.disagreement import describe_contradiction
from exvad.results.live import LiveAlert

ENDING = ("state", "start", "end", "label", "peak", "confidence", "domain")


def merge_states(earlier: LiveAlert | None, alert: LiveAlert) -> LiveAlert:
    """Return an alert with what its earlier states had and its newest lacks.

    Args:
        earlier: the merged states before; None for the first state.
        alert: the newest state.
    """
    kept: list[str] = []
    if earlier is not None:
        # A later state of the alert comes without the explanation.
        kept = [name for name in ("explanation", "captions") if not getattr(alert, name)]
        if earlier.state == "ended":  # the explanation came after the end
            kept += ENDING if alert.state == "explained" else ("state",)
    merged = alert.model_copy(update={name: getattr(earlier, name) for name in kept})
    # Its class may have changed since the explanation.
    disagreement = describe_contradiction([merged.label], merged.explanation)
    return merged.model_copy(update={"disagreement": disagreement})
