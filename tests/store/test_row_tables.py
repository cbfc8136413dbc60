"""Rows are validated before they are stored; an error names the row and the column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exvad.store.store import Store
from tests.helpers.feature_store import FINGERPRINT, WIDTH, language_row, part_files, vision_row

ONES = np.ones((4, WIDTH))
NAN, ZERO, HUGE, TINY = ONES.copy(), ONES.copy(), ONES.copy(), ONES.copy()
NAN[2, 1], ZERO[3], HUGE[1, 0], TINY[0] = np.nan, 0, 1e6, 1e-9


def segments(
    records: Sequence[str] = ("{}", "{}"), text: Sequence[float] = (1.0,) * 2 * WIDTH
) -> dict[str, Any]:
    return {"segment_ends": [1, 2], "segment_records": records, "segment_text": text}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"visual": NAN}, r"visual\[2\] is not finite"),
        ({"visual": HUGE}, r"visual\[1\] is not finite in float16"),
        ({"visual": ZERO}, r"visual\[3\] is all zeros"),
        ({"visual": TINY}, r"visual\[0\] is all zeros"),
        ({"visual": np.ones((0, WIDTH))}, r"shape \[0, 8\]"),
        ({"visual": np.ones(WIDTH)}, r"shape \[8\]"),
        ({"visual": [[1.0, 2.0], [1.0]]}, "visual is not a rectangle"),
        ({"visual": None}, "visual"),
        ({"times": [0.0, 1.0]}, "times must be 4 finite numbers"),
        ({"times": [0.0, 1.0, 2.0, np.inf]}, "times must be 4 finite numbers"),
        ({"captions": ["one"]}, "1 captions, 2 caption_snippets"),
        ({"captions": ["one", None]}, "captions holds a null"),
        ({"captions": ["one", 2]}, "captions"),
        ({"caption_snippets": [0, 4]}, "snippet indices of the video in 0…3"),
        ({"chunk": 1}, "chunk 1 is not one of num_chunks 1"),
        ({"first_snippet": 3}, "first_snippet 3"),
        ({"num_frames": 0}, "num_frames 0"),
        ({"fps": float("nan")}, "fps nan"),
        ({"chunk": 2**40}, "chunk"),
        ({"video_id": ""}, "video_id is empty"),
        ({"surprise": 1}, "unknown columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_build_table_names_an_invalid_vision_row(
    tmp_path: Path, change: Any, complaint: str
) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    name = re.escape(f"vision row (video_id={change.get('video_id', 'bad')!r}, chunk=")
    with pytest.raises(ValueError, match=f"{name}.*{complaint}"):
        stage.append([vision_row("good"), vision_row("bad", **change)])
    assert part_files(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"text": np.zeros(WIDTH)}, r"text\[0\] is all zeros"),
        ({"text": np.ones((2, WIDTH))}, r"text has shape \[2, 8\]"),
        ({"caption_text": np.ones((2, WIDTH + 1))}, "caption_text is 9 wide"),
        ({"caption_text": np.ones((1, WIDTH))}, "2 captions but 1 caption_text"),
        ({"cleaned_captions": ["a"]}, "2 captions but 1 cleaned_captions"),
        ({"changed": 3}, "changed is 3 of 2"),
        ({"caption_snippets": [-1, 0]}, "negative"),
        ({"record": "{"}, "record is not JSON"),
        ({"record": "[]"}, "record is not a JSON object"),
        ({"explanation": None}, "explanation holds a null"),
        ({"segment_ends": [1]}, "segment_ends must ascend from 1 or more to 2"),
        ({"segment_ends": [0, 2]}, "segment_ends must ascend from 1 or more to 2"),
        ({"segment_ends": [1, 1, 2]}, "segment_ends must ascend from 1 or more to 2"),
        ({"segment_records": ["{}"]}, "segment_ends must ascend from 1 or more to 2"),
        ({"segment_ends": [1, 2]}, "2 segment_ends but 0 segment_records"),
        (segments(text=[1.0] * WIDTH), "segment_text must be 2 times 8 finite numbers"),
        (segments(text=[np.inf] * 2 * WIDTH), "segment_text must be 2 times 8 finite numbers"),
        (segments(records=["{}", "no"]), "segment_records is not JSON"),
        (segments(records=["{}", "[]"]), "segment_records is not a JSON object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_build_table_names_an_invalid_language_row(
    tmp_path: Path, change: Any, complaint: str
) -> None:
    stage = Store(tmp_path).stage("language", FINGERPRINT)
    with pytest.raises(ValueError, match=rf"language row \(video_id='bad'\).*{complaint}"):
        stage.append([language_row("good"), language_row("bad", **change)])
    assert part_files(tmp_path, "language") == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"video_id": ""}, "video_id is empty"), ({"snippet": -1}, "snippet is -1")],
)
def test_build_table_names_an_invalid_caption_row(
    tmp_path: Path, change: Any, complaint: str
) -> None:
    stage = Store(tmp_path).stage("captions", FINGERPRINT)
    row = {"video_id": "v", "snippet": 0, "caption": "a man"}
    with pytest.raises(ValueError, match=rf"captions row \(.*\): {complaint}"):
        stage.append([row, row | change])
    assert part_files(tmp_path, "captions") == []
