"""Pictures as they are sent and kept."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Return an RGB picture, uint8 [H, W, 3], as JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
