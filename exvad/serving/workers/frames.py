"""Frames as the server stores and sends them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JPEG_QUALITY = 80


def encode_jpeg(frame: NDArray[np.uint8]) -> bytes:
    """Return an RGB frame, uint8 [H, W, 3], as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
