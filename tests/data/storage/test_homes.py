"""Paths with `~`, with and without a home folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.data.storage.homes import expand_home
from exvad.encoders.clip import open_clip_name
from exvad.encoders.model_files import resolve_model


def test_expand_home_leaves_a_home_that_does_not_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand_home("~/x") == tmp_path / "x"
    assert expand_home("a/~") == Path("a/~")
    assert expand_home("~no-such-user/x") == Path("~no-such-user/x")
    assert resolve_model("~no-such-user/x") == "~no-such-user/x"
    assert open_clip_name("local-dir:~no-such-user/x") == "local-dir:~no-such-user/x"
