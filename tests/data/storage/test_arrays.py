"""Files of arrays that are something else are refused with a reason."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from exvad.data.storage.arrays import read_array, read_arrays


def test_arrays_are_read(tmp_path: Path) -> None:
    rows = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "b.npz", one=rows, two=rows[0])
    np.testing.assert_array_equal(read_array(tmp_path / "a.npy"), rows)
    content = io.BytesIO((tmp_path / "b.npz").read_bytes())
    assert list(read_arrays(content)) == ["one", "two"]


def test_other_content_is_refused_with_a_reason(tmp_path: Path) -> None:
    np.save(tmp_path / "array", np.zeros(3))
    np.savez(tmp_path / "arrays", a=np.zeros(300))
    with zipfile.ZipFile(tmp_path / "texts.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    content = (tmp_path / "arrays.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "empty.npy").touch()
    np.save(tmp_path / "pickled.npy", np.array([{}], object), allow_pickle=True)
    for name in ("arrays.npz", "cut.npz", "text.npy", "empty.npy", "pickled.npy", "no.npy", ""):
        with pytest.raises(ValueError, match=r"."):
            read_array(tmp_path / name)
    for name in ("array.npy", "texts.zip", "cut.npz", "text.npy", "empty.npy", "no.npz", ""):
        with pytest.raises(ValueError, match=r"."):
            read_arrays(tmp_path / name)


def test_read_array_gives_no_advice_to_run_what_is_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="it holds no array of numbers"):
        read_array(tmp_path / "a.npy")
