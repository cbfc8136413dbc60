"""The console of the jobs prints names as they are."""

from __future__ import annotations

import pytest

from exvad.pipeline.progress.terminal import console


def test_names_with_brackets_and_colons_are_printed_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # As markup, the first would end in an error, the second vanish, the third become a picture.
    names = "cam[/x]/1.mp4 [bold]/2.mp4 :smile:.mp4"
    console.print(f"failed: {names}", soft_wrap=True)
    assert capsys.readouterr().err == f"failed: {names}\n"
