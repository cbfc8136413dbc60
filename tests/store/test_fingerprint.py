"""Fingerprints: rows of different settings, or of another version, are never mixed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import exvad
from exvad.data.versions import OtherVersionError
from exvad.store.fingerprint import FingerprintError
from exvad.store.store import Stage, Store
from tests.helpers.feature_store import FINGERPRINT, language_row, part_files, vision_row
from tests.helpers.object_store import object_store


def write_stage_file(root: Path, content: str) -> None:
    (root / "vision" / "stage.json").write_text(content)


def test_another_fingerprint_is_refused_with_each_difference(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", FINGERPRINT).append([vision_row()])
    other = {"clip": {"model": "big", "pretrained": "world"}, "stride": 16, "prompt": "what?"}
    with pytest.raises(FingerprintError) as caught:
        store.stage("vision", other)
    message = str(caught.value)
    assert 'clip.model: "tiny" → "big"' in message
    assert "crops: [0] → (absent)" in message
    assert 'prompt: (absent) → "what?"' in message
    assert "--fresh" in message
    assert "stride" not in message
    assert "pretrained" not in message
    assert store.read_stage("vision").keys() == {("v", 0, 0)}


def test_explanations_of_other_classes_can_be_deleted_without_the_features(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", FINGERPRINT).append([vision_row()])
    store.stage("language", {"classes": ["Normal"]}).append([language_row()])
    with pytest.raises(
        FingerprintError, match="or run `exvad preprocess --fresh-explanations` to write"
    ):
        store.stage("language", {"classes": ["Normal", "Fall"]})
    assert not store.stage("language", {"classes": ["Normal", "Fall"]}, fresh=True).keys()
    assert store.stage("vision", FINGERPRINT).keys() == {("v", 0, 0)}


def test_rows_without_a_fingerprint_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", FINGERPRINT).append([vision_row()])
    (tmp_path / "vision" / "stage.json").unlink()
    with pytest.raises(ValueError, match=r"no stage\.json.*--fresh"):
        store.stage("vision", FINGERPRINT)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', '{"format": 2, "fingerprint": 3}'])
def test_a_damaged_fingerprint_is_named(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path)
    store.stage("vision", FINGERPRINT)
    write_stage_file(tmp_path, content)
    with pytest.raises(ValueError, match=r"stage\.json is damaged"):
        store.read_stage("vision")


def test_a_stage_of_an_unknown_format_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", FINGERPRINT)
    write_stage_file(tmp_path, '{"format": 99, "fingerprint": {}}')
    with pytest.raises(ValueError, match="is of format 99"):
        store.stage("vision", FINGERPRINT)


def test_a_stage_of_exvad_0_1_is_refused_in_one_sentence(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", FINGERPRINT).append([vision_row()])
    write_stage_file(tmp_path, '{"format": 1, "fingerprint": {"stride": 16}}')
    openers: list[Callable[[], Stage]] = [
        lambda: store.stage("vision", FINGERPRINT),
        lambda: store.read_stage("vision"),
    ]
    for open_stage in openers:
        with pytest.raises(OtherVersionError) as caught:
            open_stage()
        assert str(caught.value) == (
            f"{tmp_path}/vision was written by exvad 0.1, and this is exvad {exvad.__version__}: "
            "use another folder, or delete its content with --fresh"
        )


def test_fresh_replaces_a_stage_of_exvad_0_1(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", FINGERPRINT).append([vision_row("old")])
    write_stage_file(tmp_path, '{"format": 1, "fingerprint": {"stride": 16}}')
    stage = store.stage("vision", FINGERPRINT, fresh=True)
    assert part_files(tmp_path) == []
    stage.append([vision_row("new")])
    assert store.read_stage("vision").keys() == {("new", 0, 0)}


@pytest.mark.parametrize("value", [object(), float("nan")], ids=["object", "nan"])
def test_a_fingerprint_must_have_a_json_form(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError, match="fingerprint of stage vision"):
        Store(tmp_path).stage("vision", {"model": value})


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The root of a new store, on a disk and in a bucket."""
    if request.param == "folder":
        yield str(tmp_path)
        return
    with object_store() as bucket:
        yield bucket.url("store")


def claim_together(root: str, fingerprints: Sequence[dict[str, object]]) -> list[object]:
    """Open a new stage with each fingerprint at the same time; return the stages or errors."""
    barrier = threading.Barrier(len(fingerprints))

    def claim(fingerprint: dict[str, object]) -> object:
        barrier.wait()
        try:
            return Store(root).stage("vision", fingerprint)
        except FingerprintError as error:
            return error

    with ThreadPoolExecutor(len(fingerprints)) as pool:
        return list(pool.map(claim, fingerprints))


def test_of_jobs_with_different_settings_one_claims_a_stage(root: str) -> None:
    for attempt in range(5):
        folder = f"{root}/{attempt}"
        claims = claim_together(folder, [{"stride": stride} for stride in range(6)])
        (stage,) = [claim for claim in claims if isinstance(claim, Stage)]
        refused = [claim for claim in claims if isinstance(claim, FingerprintError)]
        assert len(refused) == 5
        for error in refused:
            assert "was made with other settings, and the two cannot be mixed" in str(error)
            assert f"  stride: {stage.fingerprint['stride']} → " in str(error)
        assert Store(folder).read_stage("vision").fingerprint == stage.fingerprint


def test_jobs_with_the_same_settings_share_a_new_stage(root: str) -> None:
    claims = claim_together(root, [{"stride": 16}] * 6)
    assert all(isinstance(claim, Stage) for claim in claims)
