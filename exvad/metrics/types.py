"""Types that the metrics share."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]
Numbers = NDArray[np.number]

FrameEvent = tuple[int, int, str]
"""An event as (first frame, last frame + 1, class)."""

Protocol = Literal["vadclip", "strict"]
"""A way to compute detection mAP; see `exvad.metrics.detection_map`."""
