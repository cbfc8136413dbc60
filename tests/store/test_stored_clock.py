"""The clock of a video in the store: gaps and duration reach the jobs; older parts have none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exvad.store.feature_bank import FeatureBank
from exvad.store.store import Store
from tests.helpers.feature_store import FINGERPRINT, vision_row

GAP = (16.0, 3.2, 16.0, 603.2)


def store_with_clock(root: Path) -> Store:
    """A store with a video of two chunks, of which the second one begins after a gap."""
    store = Store(root)
    rows = [
        vision_row("a", 0, 2, clock=[0.0, 0.0]),
        vision_row("a", 1, 2, clock=[*GAP, 128.0, 606.4]),
    ]
    store.stage("vision", FINGERPRINT).append(rows)
    return store


def test_feature_bank_has_the_clock_the_gaps_and_the_duration(tmp_path: Path) -> None:
    bank = FeatureBank.build(store_with_clock(tmp_path / "store"), ["a"])
    bank.save(tmp_path / "bank")
    for features in (bank["a"], FeatureBank.open(tmp_path / "bank")["a"]):
        assert features.gaps == ((3.2, 603.2),)
        assert features.duration == 606.4
        assert features.clock.tolist() == [[0, 0], [16, 3.2], [16, 603.2], [128, 606.4]]


def test_parts_without_clocks_are_read_beside_others(tmp_path: Path) -> None:
    store = store_with_clock(tmp_path)
    stage = store.stage("vision", FINGERPRINT)
    (new,) = stage.folder.part_names()
    old = stage.folder.read_part(new).drop_columns(["clock"])
    renamed = old.set_column(0, old.schema.field("video_id"), [["b"] * len(old)])
    stage.folder.add_part(renamed)
    table = Store(tmp_path).read_stage("vision").table()
    assert [len(clock) for clock in table["clock"].to_pylist()] == [2, 6, 0, 0]
    bank = FeatureBank.build(Store(tmp_path), ["a", "b"])
    assert bank["a"].gaps == ((3.2, 603.2),)
    assert (bank["b"].gaps, bank["b"].duration, bank["b"].clock.shape) == ((), None, (0, 2))


@pytest.mark.parametrize("clock", [[1.0], [0.0, np.nan]])
def test_a_clock_is_pairs_of_finite_numbers(tmp_path: Path, clock: list[float]) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    with pytest.raises(ValueError, match="clock must be pairs of finite numbers"):
        stage.append([vision_row("a", clock=clock)])
