"""No part of a password is in a message, whatever characters it has."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.config.addresses import has_login, hide_password, shown_address, shown_message

PASSWORDS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(string.punctuation)
SCHEMES = st.sampled_from(["s3", "rtsp", "HTTPS", "postgresql", "gate=rtsps", "rtps"])
PATHS = st.sampled_from(["", "/", "/a.mp4", "/person@site/a.mp4", "/a.mp4?x=1", ":554/a b"])


@settings(deadline=None)
@given(scheme=SCHEMES, password=PASSWORDS)
def test_address_is_shown_alike_for_every_password(scheme: str, password: str) -> None:
    shown = shown_address(f"{scheme}://guard:{password}@host/a.mp4")
    places = ("host/a.mp4", "…@host/a.mp4", "…")
    assert shown in {f"{scheme}://{place}" for place in places}


@settings(deadline=None)
@given(scheme=SCHEMES, password=PASSWORDS, path=PATHS)
def test_no_part_of_a_password_is_in_an_address_or_a_message_about_it(
    scheme: str, password: str, path: str
) -> None:
    secret = f"qzx{password.replace(chr(10), '')}vwk"
    address = f"{scheme}://guard:{secret}@host{path}"
    query = f"{scheme}://host{path}?password={secret}"
    for shown in (
        shown_address(address),
        shown_address(query),
        shown_address(f"{scheme}:/guard:{secret}@host{path}"),
        hide_password(f"gate=guard:{secret}@host{path}"),
        shown_message(f"first line\nno answer of {address!r} in 3 s\nlast line"),
        shown_message(f"request to {address} failed: see https://docs/x"),
    ):
        assert "qzx" not in shown
        assert "vwk" not in shown
    assert has_login(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://key:secret@bucket/a.mp4?endpoint_override=http://host", "s3://bucket/a.mp4"),
        ("s3://key:sec/ret@bucket/a.mp4", "s3://…@bucket/a.mp4"),
        ("https://token@host/person@site", "https://host/person@site"),
        ("postgresql://127.0.0.1/x?password=secret", "postgresql://127.0.0.1/x"),
        ("gate=rtsp://guard:secret@host/x", "gate=rtsp://host/x"),
        ("s3://bucket/x?secret_access_key=a@b", "s3://…"),
        ("s3:/key:secret@bucket/x", "s3:/bucket/x"),
    ],
)
def test_address_is_shown_without_login_and_query(address: str, shown: str) -> None:
    assert shown_address(address) == shown


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/videos/10:30@door.mp4",
        "C:/videos/a@b.mp4",
        "s3://bucket/person@site/a.mp4",
        "s3://bucket/what?.mp4",
        "rtsp://host:554/x",
        "sqlite:////home/a:b@c/mlflow.db",
        "file:///home/a:b@c/mlruns",
    ],
)
def test_address_without_login_is_shown_as_it_is(address: str) -> None:
    assert shown_address(address) == address
    assert shown_message(address) == address
    assert not has_login(address)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no host in https://u:p@h/x: (port 1)", "no host in https://h/x: (port 1)"),
        ("s3://bucket/a.mp4?key=x is gone", "s3://bucket/a.mp4 is gone"),
        ("asked https://h/x, then me@site.org", "asked https://h/x, then me@site.org"),
        ("sqlite:///a:b@c is locked by http://u:p@h", "sqlite:///a:b@c is locked by http://h"),
        ("one\ntwo", "one\ntwo"),
    ],
)
def test_message_keeps_all_but_logins_and_queries(text: str, shown: str) -> None:
    assert shown_message(text) == shown


def test_text_without_a_scheme_is_hidden_up_to_its_last_at_sign() -> None:
    assert hide_password("guard:secret@host/x") == "…@host/x"
    assert hide_password("people@door.ts") == "people@door.ts"
