"""XML that a device of the network sends."""

from __future__ import annotations

from xml.etree import ElementTree

MAX_BYTES = 2**20


class DeviceError(ValueError):
    """A device can't be asked, or its answer makes no sense."""


def parse_xml(content: bytes) -> ElementTree.Element:
    """Parse what a device sends.

    Args:
        content: at most a megabyte; entities, which could grow without limit, are refused.

    Raises:
        DeviceError: it is no such XML.
    """
    if len(content) > MAX_BYTES or b"<!" in content.replace(b"<!--", b""):
        raise DeviceError("the answer is no plain XML")
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError):
        raise DeviceError("the answer is no XML") from None


def find_texts(root: ElementTree.Element, name: str) -> list[str]:
    """Return the texts of all elements of a name, of any namespace."""
    elements = (item for item in root.iter() if item.tag.rpartition("}")[2] == name)
    return [text for item in elements if (text := (item.text or "").strip())]
