"""The captioner by transformers, with the packaged demo model."""

from __future__ import annotations

import numpy as np
import pytest

from exvad.encoders.captioner import TransformersCaptioner
from exvad.encoders.model_files import ModelUnavailableError


def test_caption_does_not_depend_on_the_batch_size() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 120, 160, 3), np.uint8)
    one, many = (
        TransformersCaptioner("package:captioner", device="cpu", batch_size=size, max_new_tokens=6)
        for size in (1, 16)
    )
    captions = one.caption(frames)
    assert len(captions) == 3
    assert captions == many.caption(frames)


def test_captioner_names_a_model_that_cannot_be_found() -> None:
    with pytest.raises(ModelUnavailableError, match="can't load model '/no/such/model'"):
        TransformersCaptioner("/no/such/model", device="cpu")
