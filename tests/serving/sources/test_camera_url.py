"""Passwords of cameras may contain any character, as they are or encoded."""

from __future__ import annotations

import string
from urllib.parse import unquote, urlsplit

import pytest

from exvad.serving.sources.camera_url import has_login, is_camera_url, normalize_camera_url


@pytest.mark.parametrize("mark", [*string.punctuation, " ", "ü"])
def test_normalize_camera_url_keeps_a_password_with_any_character(mark: str) -> None:
    url = normalize_camera_url(f"rtsp://guard:a{mark}b@10.1.0.2:554/door?channel=1")
    parts = urlsplit(url)
    assert (parts.hostname, parts.port, parts.path) == ("10.1.0.2", 554, "/door")
    assert parts.query == "channel=1"
    assert (parts.username, unquote(str(parts.password))) == ("guard", f"a{mark}b")
    assert has_login(url)
    assert normalize_camera_url(url) == url


@pytest.mark.parametrize(
    ("url", "normalized"),
    [
        ("rtsp://guard:p%23s@host/x", "rtsp://guard:p%23s@host/x"),
        ("rtsp://guard:p%2fs@host/x", "rtsp://guard:p%2fs@host/x"),
        ("rtsp://guard:100%@host/x", "rtsp://guard:100%25@host/x"),
        ("rtsp://guard:a/b#c?d@e@host/x", "rtsp://guard:a%2Fb%23c%3Fd%40e@host/x"),
        ("rtsp://host/person@site", "rtsp://host/person@site"),
        ("rtsp://host:554/person@site", "rtsp://host:554/person@site"),
        ("rtsp://guard:secret@host/person@site", "rtsp://guard:secret@host/person@site"),
        ("RTSPS://host/x", "rtsps://host/x"),
        ("rtsp://guard@host/x", "rtsp://guard@host/x"),
    ],
)
def test_normalize_camera_url_changes_nothing_else(url: str, normalized: str) -> None:
    assert normalize_camera_url(url) == normalized


def test_is_camera_url_tells_rtsp_from_other_urls() -> None:
    assert is_camera_url("rtsp://host/x")
    assert is_camera_url("RTSPS://host/x")
    assert not is_camera_url("https://host/rtsp://x")
    assert not has_login("rtsp://host/person@site")
