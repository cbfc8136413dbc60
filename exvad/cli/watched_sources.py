"""The arguments of `exvad watch`: its sources, and how they are watched."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from exvad.cli.video_arguments import is_there, shown_name
from exvad.serving.schemas.streams import StreamOptions, StreamSource
from exvad.serving.settings import ServerSettings
from exvad.serving.sources.camera_url import (
    normalize_camera_url,
    shown_source,
    stream_name,
)
from exvad.serving.sources.fetch import Fetcher

# A server refuses private addresses because its clients name them. Here the owner of the process
# does, and most cameras have one.
ANY_NETWORK = ["0.0.0.0/0", "::/0"]
SCHEMES = "rtsp://, rtsps://, http:// or https://"
Model = TypeVar("Model", bound=BaseModel)
_NAMED = re.compile(r"([^=/:]+)=(.+)", re.DOTALL)


def parse_stream_options(
    arguments: argparse.Namespace,
) -> tuple[StreamOptions, ServerSettings]:
    """Return how sources are watched, and the limits of the processes that read them.

    Args:
        arguments: those of the command.

    Raises:
        ValueError: a value is out of range.
    """
    names = ("on", "off", "least_seconds", "cool_down_seconds", "explain")
    options = _validate(StreamOptions, {name: getattr(arguments, name) for name in names})
    limits = {"stream_idle_seconds": arguments.idle_seconds, "url_networks": ANY_NETWORK}
    return options, _validate(ServerSettings, limits)


def find_sources(arguments: Sequence[str], settings: ServerSettings) -> dict[str, StreamSource]:
    """Return the sources by their names.

    Args:
        arguments: URLs and files, with or without `NAME=` before them.
        settings: which networks a URL may lead to.

    Raises:
        ValueError: there is no such file or host, or two sources have the same name.
    """
    fetcher = Fetcher(settings)
    sources: dict[str, StreamSource] = {}
    for argument in arguments:
        name, place = _split(argument)
        if "://" in place:
            found, source = _find_url(place, fetcher)
        else:
            found, source = _find_file(place, argument)
        name = name or found
        if name in sources:
            raise ValueError(f"two sources have the name {name!r}: write NAME=SOURCE to name them")
        sources[name] = source
    return sources


def _split(argument: str) -> tuple[str, str]:
    """Return the name and the place of an argument; an empty name without one."""
    match = _NAMED.fullmatch(argument)
    if match is None or is_there(argument):
        return "", argument
    return match[1].strip(), match[2]


def _find_url(url: str, fetcher: Fetcher) -> tuple[str, StreamSource]:
    url = normalize_camera_url(url)
    try:
        asyncio.run(fetcher.check_stream(url))
        return stream_name(url), StreamSource(url=url)
    except ValidationError as error:
        raise ValueError(f"{_shown(url)}: {error.errors()[0]['msg']}") from None
    except ValueError as error:
        raise ValueError(f"{_shown(url)}: {error}") from None


def _find_file(text: str, argument: str) -> tuple[str, StreamSource]:
    path, name = Path(text), _shown(text)
    if not is_there(text):
        raise ValueError(
            f"{_shown(argument) or 'SOURCE'}: there is no such file; a camera begins with "
            "rtsp://, and a setting is given by --set"
        )
    if not path.is_file():
        raise ValueError(f"{name}: is no regular file; name a file or a URL ({SCHEMES})")
    return name, StreamSource(path=str(path.resolve()))


def _shown(source: str) -> str:
    return shown_name(shown_source(source))


def _validate(model: type[Model], values: Mapping[str, object]) -> Model:
    """Return a model of the values of arguments.

    Raises:
        ValueError: a value is out of range; the message names its argument.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "off"  # which is larger than `on`
        flag = name.removeprefix("stream_").replace("_", "-")
        raise ValueError(f"--{flag}: {first['msg'].removeprefix('Value error, ')}") from None
