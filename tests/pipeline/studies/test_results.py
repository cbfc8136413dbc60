"""Results that were damaged after they were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.data.storage.places import resolve_place
from exvad.pipeline.studies.results import read_result


@pytest.mark.parametrize("content", [b"", b"[1]", b"3", b"{}", b"\xff\xfe", b'{"frame_auc": 0.'])
def test_read_result_names_a_damaged_file_and_says_what_to_do(
    tmp_path: Path, content: bytes
) -> None:
    place = resolve_place(tmp_path / "cell.json")
    place.write_bytes(content)
    with pytest.raises(ValueError, match=r"cell\.json .*delete it and run the same command again"):
        read_result(place)
    place.write_json({"frame_auc": 0.5})
    assert read_result(place) == {"frame_auc": 0.5}
