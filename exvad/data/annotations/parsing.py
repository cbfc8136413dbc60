"""Read parts of JSON files whose content is not trusted, and name what is wrong with them."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from exvad.data.annotations.annotated import AnnotationError
from exvad.data.storage.errors import reason_of

_LARGEST = 10**12
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # the escape of a surrogate
_UPLOAD_PREFIX = re.compile(r"[0-9a-f]{8}-(?=.)")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        AnnotationError: it can't be read, or is not JSON.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    """Parse JSON.

    Args:
        text: the JSON.
        where: its origin, for the message.

    Raises:
        AnnotationError: it is not JSON, or holds a text that is not Unicode.
    """
    try:
        content = json.loads(text)
        if _HALF_CHARACTER.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise AnnotationError(f"{where}: a text is not valid Unicode; correct it") from None
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{where}: this is not JSON ({error})") from None
    return content


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        AnnotationError: it can't be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read: {reason_of(error)}") from None
    except UnicodeDecodeError:
        raise AnnotationError(f"{path}: this is not UTF-8; save the file as UTF-8") from None


def as_dict(value: Any, where: str) -> dict[str, Any]:
    """Return a value that must be an object of JSON.

    Raises:
        AnnotationError: it is not.
    """
    if not isinstance(value, dict):
        raise AnnotationError(f"{where}: there must be an object {{…}}, not {_shown(value)}")
    return value


def as_list(value: Any, where: str) -> list[Any]:
    """Return a value that must be a list.

    Raises:
        AnnotationError: it is not.
    """
    if not isinstance(value, list):
        raise AnnotationError(f"{where}: there must be a list […], not {_shown(value)}")
    return value


def as_number(value: Any, where: str) -> float:
    """Return a value that must be a number of at least 0, below any length of a video.

    Raises:
        AnnotationError: it is not.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < _LARGEST:
        raise AnnotationError(f"{where}: there must be a number from 0, not {_shown(value)}")
    return float(value)


def as_frame(value: Any, where: str) -> int:
    """Return a value that must be a frame number.

    Raises:
        AnnotationError: it is not a whole number of at least 0.
    """
    number = as_number(value, where)
    if number % 1:
        raise AnnotationError(f"{where}: there must be a frame number, not {_shown(value)}")
    return int(number)


def as_id(value: Any, where: str) -> int | str:
    """Return a value that must be an id: a whole number or a text.

    Raises:
        AnnotationError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise AnnotationError(f"{where}: there must be an id, not {_shown(value)}")
    return value


def as_text(value: Any, where: str) -> str:
    """Return a value that must be a text that is not empty.

    Raises:
        AnnotationError: it is not.
    """
    if not isinstance(value, str) or not value.strip():
        raise AnnotationError(f"{where}: there must be a text, not {_shown(value)}")
    return value.strip()


def video_name(reference: str) -> str:
    """Return the name of a video in a reference of a tool.

    Label Studio puts eight hexadecimal digits before the name of an upload, and names local files
    in a query (`/data/local-files/?d=cam1/clip.mp4`), whose folders are kept. URIs of buckets stay
    as they are, because the storage layer opens them. Names may have `#`, `?` and `%`.
    """
    if reference.startswith(("http://", "https://", "/data/")):
        try:
            parts = urlsplit(reference)
        except ValueError:  # such as the brackets of an address that is none
            return PurePosixPath(reference).name
        local = parse_qs(parts.query).get("d")
        if local:
            return local[0].lstrip("/")
        path = PurePosixPath(unquote(parts.path))
        is_upload = "upload" in path.parts[:-1]
        return _UPLOAD_PREFIX.sub("", path.name, count=1) if is_upload else path.name
    if "://" in reference:
        return reference
    path = PurePosixPath(reference.replace("\\", "/"))
    return path.name if path.is_absolute() else str(path)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
