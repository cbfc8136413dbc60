"""Why something failed, in words, whatever kind of error says so."""

from __future__ import annotations

import errno

import av.error
import pytest

from exvad.data.manifest_files import read_manifest
from exvad.data.records import ManifestError
from exvad.data.storage.errors import reason_of
from exvad.laam.phrases import LabelPhrases
from exvad.zero_shot.scene_memory import SceneMemory


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EACCES, "Permission denied", "a.mp4"), "Permission denied"),
        (OSError("the server hung up"), "the server hung up"),
        (FileNotFoundError("bucket/a.mp4"), "No such file or directory"),
        (av.error.InvalidDataError(1, "Invalid data", "a.mp4"), "Invalid data"),
        (ValueError("no picture"), "no picture"),
    ],
)
def test_reason_of_leaves_out_the_name_of_the_file(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_manifest_that_a_bucket_lacks_is_named_with_the_reason() -> None:
    with pytest.raises(ManifestError, match=r"labels\.csv: cannot be read: No such file"):
        read_manifest("memory://absent/labels.csv")


def test_files_in_a_bucket_are_named_without_keys() -> None:
    address = "memory://key:sec/ret@absent/file.csv"
    for read in (read_manifest, LabelPhrases.read, SceneMemory.read):
        with pytest.raises(ValueError, match=r"memory://…@absent/file\.csv") as refusal:
            read(address)
        assert "sec" not in str(refusal.value)
        assert "ret" not in str(refusal.value)
