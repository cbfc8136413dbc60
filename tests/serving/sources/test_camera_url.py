"""Passwords of cameras may contain any character, as they are or encoded."""

from __future__ import annotations

import re
import string
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exvad.serving.sources.camera_url import (
    SAFE,
    has_login,
    is_camera_url,
    normalize_camera_url,
    shown_source,
    stream_name,
)


@pytest.mark.parametrize("mark", [*string.punctuation, " ", "ü"])
def test_normalize_camera_url_keeps_a_password_with_any_character(mark: str) -> None:
    url = normalize_camera_url(f"rtsp://guard:a{mark}b@10.1.0.2:554/door?channel=1")
    parts = urlsplit(url)
    assert (parts.hostname, parts.port, parts.path) == ("10.1.0.2", 554, "/door")
    assert parts.query == "channel=1"
    assert (parts.username, unquote(str(parts.password))) == ("guard", f"a{mark}b")
    assert has_login(url)
    assert normalize_camera_url(url) == url


@settings(deadline=None)
@given(
    scheme=st.sampled_from(["rtsp", "rtsps", "http", "https"]),
    place=st.sampled_from(["10.1.0.2:554/door?a=1", "cam.example/door", "[fe80::1]/x", "10.1.0.2"]),
    user=st.text(string.ascii_letters, min_size=1, max_size=5),
    password=st.text(string.printable.strip() + " üß", max_size=12) | st.text(max_size=6),
)
def test_normalize_camera_url_keeps_any_password_raw_and_encoded(
    scheme: str, place: str, user: str, password: str
) -> None:
    assume(not re.search(r"%[0-9A-Fa-f]{2}", password))  # which may be meant either way
    assume(not re.search(r"@.*[.].*[/?#]|@localhost", password, re.DOTALL))  # a host of its own
    assume(not re.search(r"[\ud800-\udfff]", password))  # no text
    assume(place[0].isdigit() or not re.match(r"\d{1,5}[/?]", password))  # a port and a path
    for written in (password, quote(password, safe=""), quote(password, safe=SAFE)):
        url = normalize_camera_url(f"{scheme}://{user}:{written}@{place}")
        parts = urlsplit(url)
        assert url.endswith(f"@{place}")
        assert (parts.username, unquote(str(parts.password))) == (user, password)
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
        ("rtsp://relay:8554/me@site.example", "rtsp://relay:8554/me@site.example"),
        ("http://relay:8888/cam?token=x@y.z", "http://relay:8888/cam?token=x@y.z"),
        ("http://camera:8081/live@2x.m3u8", "http://camera:8081/live@2x.m3u8"),
        ("http://admin:1234/5@10.0.0.5/a", "http://admin:1234%2F5@10.0.0.5/a"),
        ("rtsp://guard:secret@host/person@site", "rtsp://guard:secret@host/person@site"),
        ("rtsp://guard:p w@host/person@site", "rtsp://guard:p%20w@host/person@site"),
        ("rtsp://10.0.0.5:554/me@mail.example", "rtsp://10.0.0.5:554/me@mail.example"),
        ("rtsp://[fe80::1]:554/me@mail.example", "rtsp://[fe80::1]:554/me@mail.example"),
        ("rtsp://admin:1234#56@10.0.0.5/s1", "rtsp://admin:1234%2356@10.0.0.5/s1"),
        ("rtsp://admin:1234/56@10.0.0.5/s1", "rtsp://admin:1234%2F56@10.0.0.5/s1"),
        ("rtsp://admin:1234?56@cam.example/s1", "rtsp://admin:1234%3F56@cam.example/s1"),
        ("rtsp://admin:1234#5@cam/s1", "rtsp://admin:1234%235@cam/s1"),
        ("rtsp://admin:a@b/c@10.0.0.5/s1", "rtsp://admin:a%40b%2Fc@10.0.0.5/s1"),
        ("rtsp://guard:p%24w%21@host/x", "rtsp://guard:p%24w%21@host/x"),
        ("rtsp://guard:p%24w%@host/x", "rtsp://guard:p%2524w%25@host/x"),
        ("rtsp://guard:p%24w#@host/x", "rtsp://guard:p%2524w%23@host/x"),
        ("http://guard:p#s@host/x", "http://guard:p%23s@host/x"),
        ("HTTPS://host/x?user=me@mail.example", "https://host/x?user=me@mail.example"),
        ("ftp://guard:p#s@host/x", "ftp://guard:p#s@host/x"),
        ("nonsense", "nonsense"),
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


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://guard:secret@host:554/live/1?token=secret", "host live 1"),
        (
            "rtsp://host/user=admin&password=secret&channel=1",
            "host user=admin&password=…&channel=1",
        ),
        (
            "rtsp://host/user=a_password=secret_channel=1.sdp",
            "host user=a_password=…_channel=1.sdp",
        ),
        ("rtsp://host/user=a&PWD=secret", "host user=a&PWD=…"),
        ("http://host/pass%3Dsecret", "host pass=…"),
        ("rtsp://host/pass=sec/ret&channel=1", "host pass=…&channel=1"),
        ("rtsp://host/passage", "host passage"),
    ],
)
def test_a_stream_is_named_without_a_password_also_in_its_path(url: str, name: str) -> None:
    assert stream_name(url) == name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://guard:secret@host/x", "rtsp://host/x"),
        ("rtps://guard:sec/ret@host/x", "rtps://…@host/x"),
        ("rtsp:/guard:secret@host/x", "…@host/x"),
        ("gate=guard:secret@host/x", "…@host/x"),
        ("gate=rtsp://guard:secret@host/x", "gate=rtsp://host/x"),
        ("rtsp:/host/user=a&password=secret", "rtsp:/host/user=a&password=…"),
        ("rtsp://host/user=a&password=sec:r@et", "rtsp://…"),
        ("people@door.ts", "people@door.ts"),
        ("rtsp://host:554/x", "rtsp://host:554/x"),
    ],
)
def test_a_source_is_shown_without_a_password_also_where_it_is_mistyped(
    text: str, shown: str
) -> None:
    assert shown_source(text) == shown


@settings(deadline=None)
@given(
    url=st.sampled_from(
        [
            "rtsp://guard:{}@host/x",
            "rtsp://host/user=a&password={}&channel=1",
            "rtsp://host:554/user=a_password={}_channel=1.sdp",
            "http://host/pwd={}",
            "rtsp:/guard:{}@host/x",
            "gate=guard:{}@host/x",
        ]
    ),
    password=st.text(string.printable.strip() + " ü", max_size=12),
)
def test_no_part_of_a_password_is_in_the_name_of_a_source(url: str, password: str) -> None:
    assume(not re.search("[&_][a-z]+=", password))  # there the camera ends it, too
    secret = f"qzx{password}vwk"
    names = [shown_source(url.format(secret))]
    if is_camera_url(url):
        names.append(stream_name(normalize_camera_url(url.format(secret))))
    for name in names:
        assert "qzx" not in name
        assert "vwk" not in name
