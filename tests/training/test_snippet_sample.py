"""The sample of a store's snippets is small, evenly spread, and the same from store and bank."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exvad.store.feature_bank import FeatureBank
from exvad.store.store import Store
from exvad.training.snippet_sample import bank_snippets, sample_snippets, spread
from tests.helpers.feature_store import add_vision


def rows(visual_TD: NDArray[np.float16]) -> set[bytes]:
    """Return the features without their order, which depends on the parts of the store."""
    return {visual_D.tobytes() for visual_D in visual_TD}


def test_spread_keeps_the_ends_and_the_limit() -> None:
    assert spread(0, 5).tolist() == []
    assert spread(3, 5).tolist() == [0, 1, 2]
    assert spread(101, 5).tolist() == [0, 25, 50, 75, 100]


def test_sample_snippets_reads_spread_snippets_of_every_chunk(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    add_vision(store, "long", (40, 40, 21))
    add_vision(store, "short", (3,))
    lengths = {"long": 101, "short": 3}
    sample = sample_snippets(store, lengths)
    bank = FeatureBank.build(store, list(lengths), "none")
    whole_TD = bank["long"].visual
    assert [len(visual_TD) for visual_TD in sample] == [32, 3]
    assert rows(sample[0]) == rows(whole_TD[spread(101, 32)])
    kept = bank_snippets(bank, [*lengths, "absent"])
    assert [rows(visual_TD) for visual_TD in sample] == [rows(visual_TD) for visual_TD in kept]
    assert sample_snippets(store, lengths, crop=1) == []
