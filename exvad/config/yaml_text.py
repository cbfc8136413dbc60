"""YAML from users: presets, overrides, search spaces, plans and settings of the server."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from exvad.config.addresses import has_login


class _StrictLoader(yaml.SafeLoader):
    """Refuses a mapping that names a key twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping of a node."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != MERGE_TAG:
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key_node.value!r} appears twice", key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


MERGE_TAG = "tag:yaml.org,2002:merge"


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML.

    Args:
        text: the YAML.
        where: its origin, for the message.

    Raises:
        ValueError: the text is not YAML, or a mapping names a key twice.
    """
    try:
        return yaml.load(text, _StrictLoader)
    except yaml.YAMLError as error:
        if isinstance(error, yaml.MarkedYAMLError):
            for mark in filter(None, (error.context_mark, error.problem_mark)):
                mark.buffer = None  # of which the message would quote a part, maybe a password
        raise ValueError(f"{where}: not YAML ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise ValueError(f"{where}: not YAML (nested too deeply)") from None
    except ValueError as error:  # a date that does not exist, a number with thousands of digits
        raise ValueError(f"{where}: not YAML ({error})") from None


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file.

    Raises:
        ValueError: the file can't be read, is not UTF-8 or not YAML, or names a key twice.
    """
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ValueError(f"{path} can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not YAML, as it is not UTF-8") from None
    return parse_yaml(text, str(path))


def parse_override(text: str, where: str) -> Any:
    """Parse the value of `section.field=value`: YAML, except that `#` begins no comment.

    An address with a password is text as it is, whatever its characters mean in YAML.

    Raises:
        ValueError: the value is not YAML.
    """
    plain = text.lstrip()[:1] not in ("'", '"', "[", "{")
    is_text = " #" in text or has_login(text)
    return text.strip() if plain and is_text else parse_yaml(text, where)
