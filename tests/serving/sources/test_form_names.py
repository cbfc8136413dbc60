"""File names in forms: as browsers escape them, and in the extended form of RFC 5987."""

from __future__ import annotations

import pytest

from exvad.serving.sources.form_names import read_file_name


@pytest.mark.parametrize(
    ("parameters", "plain", "name"),
    [
        ('filename="clip.mp4"', "clip.mp4", "clip.mp4"),
        ("", None, "video"),
        # Chromium and Firefox write a quotation mark and a line break like this.
        ('filename="the %22red%22 door.mp4"', "the %22red%22 door.mp4", 'the "red" door.mp4'),
        ('filename="a%0D%0ab.mp4"', "a%0D%0ab.mp4", "a\r\nb.mp4"),
        # They do not write other characters so: these belong to the name.
        ('filename="100%25 %41.mp4"', "100%25 %41.mp4", "100%25 %41.mp4"),
        ("filename*=UTF-8''T%C3%BCr%20%E2%82%AC.mp4", None, "Tür €.mp4"),
        ("filename=\"T?r.mp4\"; filename*=utf-8'de'T%C3%BCr.mp4", "T?r.mp4", "Tür.mp4"),
        ("filename*=ISO-8859-1''K%FCche.mp4; filename=x", "x", "Küche.mp4"),
        ("filename*=no-charset''K%FCche.mp4; filename=x.mp4", "x.mp4", "x.mp4"),
        ("filename=\"a; filename*=utf-8''b\"", "a; filename*=utf-8''b", "a; filename*=utf-8''b"),
    ],
)  # fmt: skip
def test_read_file_name_understands_browsers_and_libraries(
    parameters: str, plain: str | None, name: str
) -> None:
    disposition = f'form-data; name="video"; {parameters}'.encode()
    assert read_file_name(disposition, plain.encode() if plain is not None else None) == name
