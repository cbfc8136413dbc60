"""Every snippet gets the text that speaks about it: the explanation at its evidence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exvad.store.examples import VideoInput, collate, make_example, shorten, whole_example
from exvad.store.feature_bank import BANK_FILE, FeatureBank
from exvad.store.grounding import (
    REACH,
    SIMILARITY_TEMPERATURE,
    VOTES,
    ground_text,
    grounded_rows,
    shortened_places,
    spread_text,
)
from exvad.store.parts import CorruptPartError
from exvad.store.store import Store
from tests.helpers.feature_store import WIDTH, add_vision, language_row

TARGET_C = np.array([1, 0], np.float32)


def record(*evidence: int, anomalous: bool = True) -> str:
    return json.dumps({"anomalous": anomalous, "category": "Arson", "evidence": list(evidence)})


def random_rows(count: int, seed: int, width: int = 6) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def test_grounded_rows_put_the_explanation_at_its_evidence_and_captions_elsewhere() -> None:
    text_D = np.array([0.1, 0.8, 0.8, 0.2, 0.5, 0.3], np.float32)  # equally like both
    caption_cD = np.eye(4, 6, dtype=np.float32)
    rows_cD = grounded_rows(text_D, caption_cD, record(2, 3, 9, 0))
    np.testing.assert_array_equal(rows_cD[[1, 2], :-1], [text_D, text_D])
    np.testing.assert_allclose(rows_cD[[0, 3], :-1], caption_cD[[0, 3]], atol=1e-6)
    np.testing.assert_allclose(rows_cD[:, -1], [0, 1, 1, 0], atol=1e-6)


def test_grounded_rows_put_the_explanation_at_captions_that_say_the_same() -> None:
    text_D = random_rows(1, 0)[0]
    caption_cD = np.eye(4, 6, dtype=np.float32)[[0, 1, 1, 2]] * 3
    caption_cD[3] = caption_cD[1] + [0, 0, 1, 0, 0, 0]
    rows_cD = grounded_rows(text_D, caption_cD, record(2))
    np.testing.assert_allclose(rows_cD[2, :-1], text_D, atol=1e-6)
    # A caption that is nearly the same has a part of both, and votes with that share.
    moved = np.linalg.norm(rows_cD[3, :-1] - caption_cD[3])
    share = moved / np.linalg.norm(text_D - caption_cD[3])
    assert 0.05 < share < 0.95
    np.testing.assert_allclose(rows_cD[1:, -1], [1, 1, float(share)], rtol=1e-4)


def test_grounded_rows_count_a_cited_caption_as_much_as_it_says_what_the_explanation_says() -> None:
    text_D = np.array([0.1, 0.9, 0.4, 0, 0, 0], np.float32)
    caption_cD = np.eye(3, 6, dtype=np.float32)[[0, 0, 1, 1, 2]]
    rows_cD = grounded_rows(text_D, caption_cD, record(2, 3))
    np.testing.assert_allclose(rows_cD[:, -1], [0, 0, 1, 1, 0], atol=0.01)
    np.testing.assert_allclose(rows_cD[[2, 3], :-1], [text_D, text_D], atol=1e-6)
    np.testing.assert_allclose(rows_cD[[0, 1, 4], :-1], caption_cD[[0, 1, 4]], atol=0.01)


def test_grounded_rows_without_evidence_take_the_caption_most_like_the_explanation() -> None:
    caption_cD = np.eye(3, 6, dtype=np.float32)
    text_D = np.array([0.1, 0.2, 0.9, 0, 0, 0.5], np.float32)
    for without in (record(), record(7), "{}", ""):
        rows_cD = grounded_rows(text_D, caption_cD, without)
        np.testing.assert_array_equal(rows_cD[2], [*text_D, 1])
        np.testing.assert_allclose(rows_cD[:2, :-1], caption_cD[:2], atol=1e-6)


def test_grounded_rows_let_a_normal_explanation_speak_of_the_whole_video() -> None:
    text_D, caption_cD = random_rows(1, 0)[0], random_rows(5, 1)
    rows_cD = grounded_rows(text_D, caption_cD, record(1, anomalous=False))
    np.testing.assert_array_equal(rows_cD, np.tile([*text_D, 0], (5, 1)))


def test_grounded_rows_without_captions_are_the_explanation() -> None:
    text_D = random_rows(1, 0)[0]
    rows = grounded_rows(text_D, np.empty((0, 6), np.float32), "{}")
    np.testing.assert_array_equal(rows, [[*text_D, 0]])
    text_TD = ground_text(random_rows(4, 1), rows, [])
    np.testing.assert_array_equal(text_TD, np.tile([*text_D, 0], (4, 1)))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 99))
def test_spread_text_is_the_formula(length: int, captions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    visual_TD, key_cD = random_rows(length, seed), random_rows(captions, seed + 1)
    text_cD = random_rows(captions, seed + 2)
    places_T, places_c = rng.uniform(0, 9, length), rng.uniform(0, 9, captions)
    text_TD = spread_text(visual_TD, places_T, key_cD, places_c, text_cD, 2.5)
    for t in range(length):
        attraction_c = [
            float(visual_TD[t] @ key_D)
            / float(np.linalg.norm(visual_TD[t]) * np.linalg.norm(key_D))
            / SIMILARITY_TEMPERATURE
            - abs(places_T[t] - place) / (REACH * 2.5)
            for key_D, place in zip(key_cD, places_c, strict=True)
        ]
        weight_c = np.exp(np.array(attraction_c))
        expected_D = (weight_c / weight_c.sum()) @ text_cD
        np.testing.assert_allclose(text_TD[t], expected_D, rtol=1e-3, atol=1e-4)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 10), st.integers(0, 99), st.floats(0.1, 50))
def test_ground_text_is_a_mean_of_the_rows_at_every_scale(
    length: int, captions: int, seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    snippets = sorted(rng.choice(length, min(captions, length), replace=False).tolist())
    visual_TD, text_cD = random_rows(length, seed), random_rows(len(snippets), seed + 1)
    text_TD = ground_text(visual_TD, text_cD, snippets)
    assert (text_TD >= text_cD.min(0) - 1e-4).all()
    assert (text_TD <= text_cD.max(0) + 1e-4).all()
    # Lengths of image features say nothing, and equal texts give the same text everywhere.
    np.testing.assert_allclose(
        ground_text(scale * visual_TD, text_cD, snippets), text_TD, rtol=1e-3, atol=1e-3
    )
    same_cD = np.tile(text_cD[:1], (len(snippets), 1))
    np.testing.assert_allclose(
        ground_text(visual_TD, same_cD, snippets), np.tile(text_cD[:1], (length, 1)), atol=1e-4
    )


def test_ground_text_follows_time_and_the_look_of_the_snippet() -> None:
    text_cD = np.eye(2, 6, dtype=np.float32)
    alike_TD = np.ones((20, 6), np.float32)
    share_T = ground_text(alike_TD, text_cD, [5, 15])[:, 1]
    assert (np.diff(share_T) >= -1e-6).all(), "the later caption counts more and more"
    assert share_T[5] < 0.15
    assert share_T[15] > 0.85
    looks_TD = alike_TD.copy()
    looks_TD[[9, 15]] = [1, -1, 1, -1, 1, -1]  # snippet 9 is nearer to 5 and looks like 15
    assert ground_text(looks_TD, text_cD, [5, 15])[9, 1] > 0.9


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 30))
def test_shortened_places_are_the_rows_that_average_the_snippets(length: int, limit: int) -> None:
    marks_TT = np.eye(length, dtype=np.float32)
    short_LT = shorten(marks_TT, limit)
    places = shortened_places(range(length), length, limit)
    assert all(short_LT[row, snippet] > 0 for snippet, row in enumerate(places))


@pytest.fixture
def bank(tmp_path: Path) -> FeatureBank:
    """Three videos: one with an explanation of an event, one normal, one without captions."""
    store = Store(tmp_path / "store")
    for name, lengths in (("event", (4, 4, 3)), ("normal", (3,)), ("imported", (2,))):
        add_vision(store, name, lengths)
    stage = store.stage("language", {})
    stage.append([language_row("event", record=record(2))])
    stage.append([language_row("normal")])
    names = ("captions", "caption_snippets", "cleaned_captions")
    empty: dict[str, list[str]] = {name: [] for name in names}
    no_rows = np.empty((0, WIDTH), np.float32)
    stage.append([language_row("imported", record="{}", caption_text=no_rows, changed=0, **empty)])
    return FeatureBank.build(store, ["event", "normal", "imported"], "grounded")


def test_bank_of_grounded_text_gives_examples_of_one_shape(
    bank: FeatureBank, tmp_path: Path
) -> None:
    bank.save(tmp_path / "bank")
    reopened = FeatureBank.open(tmp_path / "bank")
    examples = [whole_example(reopened[video]) for video in reopened]
    for example, video in zip(examples, bank, strict=True):
        expected = whole_example(bank[video])
        assert example.text is not None
        assert example.text.shape == (len(example.visual_TD), WIDTH + VOTES)
        np.testing.assert_array_equal(example.text, expected.text)
        np.testing.assert_array_equal(whole_example(bank.inputs(video)).text, expected.text)
    batch = collate(examples)
    assert batch.text is not None
    assert batch.text.shape == (*batch.visual_BTD.shape[:2], WIDTH + VOTES)
    event, normal, imported = (example.text for example in examples)
    assert event is not None
    assert normal is not None
    assert imported is not None
    assert np.ptp(event, axis=0).max() > 0.1, "the text differs from snippet to snippet"
    assert event[:, -1].max() > 0.5, "the captions vote for the snippets of the evidence"
    assert not normal[:, -1].any()
    assert not imported[:, -1].any()
    assert np.ptp(normal, axis=0).max() < 1e-6
    assert np.ptp(imported, axis=0).max() == 0


def test_make_example_grounds_the_rows_that_the_network_reads(bank: FeatureBank) -> None:
    features = bank["event"]
    example = make_example(features, TARGET_C, max_snippets=4)
    short_LD = shorten(features.visual.astype(np.float32), 4)
    assert features.text is not None
    places = shortened_places(features.caption_snippets, len(features.visual), 4)
    expected = whole_example(VideoInput("event", short_LD, features.text, places, grounded=True))
    np.testing.assert_array_equal(example.visual_TD, short_LD)
    np.testing.assert_array_equal(example.text, expected.text)


def test_bank_of_earlier_code_without_votes_is_refused(bank: FeatureBank, tmp_path: Path) -> None:
    bank.save(tmp_path / "bank")
    file = tmp_path / "bank" / BANK_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "votes": 0}))
    with pytest.raises(CorruptPartError, match=r"without the votes .* build and save it again"):
        FeatureBank.open(tmp_path / "bank")
