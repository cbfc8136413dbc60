"""XML of strangers is read only if it is plain."""

from __future__ import annotations

import pytest

from exvad.serving.discovery.xml import DeviceError, find_texts, parse_xml


def test_find_texts_looks_in_all_namespaces() -> None:
    root = parse_xml(b"<a xmlns:x='u'><x:Uri> one </x:Uri><b><Uri>two</Uri><Uri/></b></a>")
    assert find_texts(root, "Uri") == ["one", "two"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<a>",
        b"\xff\xfe",
        b"<a>" + b" " * 2**20 + b"</a>",
        b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>',
        b'<?xml version="1.0" encoding="nonsense"?><a/>',
    ],
)
def test_parse_xml_refuses_what_is_no_plain_xml(content: bytes) -> None:
    with pytest.raises(DeviceError):
        parse_xml(content)
