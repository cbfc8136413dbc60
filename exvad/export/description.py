"""export.json: everything that a program without exvad needs besides the exported files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import exvad

if TYPE_CHECKING:
    from exvad.checkpoints.checkpoint import Checkpoint
    from exvad.encoders.image_preprocessing import Preprocessing
    from exvad.export.graphs import Graph

DESCRIPTION = "export.json"
NOTE = (
    "The exported files don't compare a video with those of training: of one that is unlike them, "
    "scores and classes mean little, and only `exvad analyze` with the checkpoint says so."
)


@dataclass(frozen=True)
class ExportedPart:
    """A written file that answers as torch does.

    Args:
        graph: what is in it.
        file: its name.
        difference: the largest difference from torch; see `exvad.export.agreement`.
    """

    graph: Graph
    file: str
    difference: float


def describe(
    checkpoint: Checkpoint, parts: list[ExportedPart], preprocessing: Preprocessing | None
) -> dict[str, Any]:
    """Return the content of export.json.

    Args:
        checkpoint: the trained detector.
        parts: the written files.
        preprocessing: of CLIP; None if its image encoder is not exported.
    """
    config, calibration = checkpoint.config, checkpoint.calibration
    return {
        "exvad": exvad.__version__,
        "model": checkpoint.name,
        "about": config.data.about,
        "domain": NOTE,
        "files": {
            part.graph.name: {
                "file": part.file,
                "inputs": [asdict(tensor) for tensor in part.graph.inputs],
                "outputs": [asdict(tensor) for tensor in part.graph.outputs],
                "largest_difference_from_torch": part.difference,
            }
            for part in parts
        },
        "clip": {"model": config.clip.model, "pretrained": config.clip.pretrained},
        "preprocessing": None if preprocessing is None else asdict(preprocessing),
        "snippets": {
            "frames_per_snippet": config.data.stride,
            "seconds_per_snippet": config.data.stride_seconds or None,
            "short_side": config.data.short_side,
            "max_per_run": config.model.max_snippets,
        },
        "text": config.model.text,
        "classes": list(checkpoint.classes),
        "decision": calibration.model_dump(),
    }
