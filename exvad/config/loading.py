"""From presets and overrides to a validated configuration, and back to YAML.

`load_config` merges three layers: the defaults, a preset (a packaged name or a YAML file) and
`section.field=value` overrides. Unknown keys are refused.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Union

import yaml
from pydantic import BaseModel, ValidationError

from exvad.config.addresses import shown_address
from exvad.config.sections import Config
from exvad.config.suggestions import did_you_mean
from exvad.config.yaml_text import parse_override, parse_yaml, read_yaml

MODEL_SETTINGS = re.compile(
    r"device|(captioner|llm)\.(backend|model|dtype|batch_size|batch_tokens|structured"
    r"|endpoint\.\w+|engine\.\w+)"
)


class ConfigError(ValueError):
    """A preset or an override is invalid; the message names the key and suggests a correction."""


def preset_names() -> list[str]:
    """Return the names of the packaged presets."""
    folder = resources.files("exvad") / "assets" / "presets"
    files = [file.name for file in folder.iterdir()]
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def load_config(preset: str = "demo", overrides: Iterable[str] = ()) -> Config:
    """Read a configuration.

    Args:
        preset: a packaged preset's name or the path of a YAML file.
        overrides: `section.field=value` items; values are read as YAML.

    Raises:
        ConfigError: the preset does not exist, a key is unknown, or a value is invalid.
    """
    values, overridden = _read_preset(preset), parse_overrides(overrides)
    for key, value in overridden.items():
        _assign(values, key.split("."), value)
    return build_config(values, where=preset, overridden=overridden)


def parse_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """Return dotted key → value of `section.field=value` items; values are read as YAML.

    Args:
        overrides: the items; of several with one key the last counts.

    Raises:
        ConfigError: an item has no value, or its value is not YAML.
    """
    values: dict[str, Any] = {}
    for override in overrides:
        key, separator, text = override.partition("=")
        where = f"override {shown_address(override)!r}"
        if not separator:
            raise ConfigError(f"{where}: write section.field=value")
        values.pop(key.strip(), None)  # an override of a section replaces those before it
        try:
            values[key.strip()] = parse_override(text, where)
        except ValueError as error:
            raise ConfigError(f"{error}; quote the value") from None
    return values


def build_config(
    values: Mapping[str, Any], where: str = "configuration", overridden: Iterable[str] = ()
) -> Config:
    """Validate nested values as a configuration.

    Args:
        values: section → field → value.
        where: the origin of the values, for error messages.
        overridden: the dotted keys whose values come from elsewhere, for error messages.

    Raises:
        ConfigError: a key is unknown or a value is invalid; the message lists every problem.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        keys = [key.split(".") for key in overridden]
        raise ConfigError(_list_problems(error, where, keys)) from None


def override_config(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a copy of a configuration with some settings changed.

    Args:
        config: the configuration to start from.
        values: dotted key, such as `model.tau` → its new value.

    Raises:
        ConfigError: a key is unknown or a value is invalid.
    """
    changed = config.model_dump(by_alias=True)
    for key, value in values.items():
        _assign(changed, key.split("."), value)
    return build_config(changed, overridden=values)


def override_models(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a copy of a trained detector's configuration whose frozen models run otherwise.

    Args:
        config: the configuration of the detector.
        values: dotted key, such as `llm.backend` → its new value.

    Raises:
        ConfigError: a key is unknown, decides what the network was trained on, or has an invalid
            value.
    """
    for key in values:
        if not MODEL_SETTINGS.fullmatch(key):
            raise ConfigError(
                f"{key}: it can't be changed after training; these settings can: device, and "
                "backend, model, dtype, batch_size, batch_tokens, structured, endpoint.… and "
                "engine.… of captioner and llm"
            )
    return override_config(config, values)


def dump_config(config: Config) -> str:
    """Write a configuration as YAML that `load_config` reads back."""
    values = config.model_dump(by_alias=True)
    readable = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    # PyYAML folds Unicode's own line separators, which then read back as other text.
    if yaml.safe_load(readable) == values:
        return readable
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=False)


def _read_preset(preset: str) -> dict[str, Any]:
    if preset in preset_names():
        packaged = resources.files("exvad") / "assets" / "presets" / f"{preset}.yaml"
        values = parse_yaml(packaged.read_text("utf-8"), preset)
    elif _is_yaml_file(preset):
        try:
            values = read_yaml(Path(preset).expanduser()) or {}
        except ValueError as error:
            raise ConfigError(str(error)) from None
    else:
        names = ", ".join(preset_names())
        raise ConfigError(f"no preset {preset!r}: give one of {names}, or a .yaml file")
    if not isinstance(values, dict):
        raise ConfigError(
            f"{preset}: a preset is a mapping of sections, not {type(values).__name__}"
        )
    return values


def _is_yaml_file(name: str) -> bool:
    try:
        path = Path(name).expanduser()
        return path.suffix in (".yaml", ".yml") and path.is_file()
    except (OSError, RuntimeError):  # The name is too long, or of a home that does not exist.
        return False


def _assign(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        section = values.setdefault(key, {})
        if not isinstance(section, dict):
            raise ConfigError(f"{'.'.join(keys)}: {key} is a value, not a section")
        values = section
    values[keys[-1]] = value


def _list_problems(error: ValidationError, where: str, overridden: Sequence[Sequence[str]]) -> str:
    """Return every problem; only those that no override is to blame for name the origin."""
    of_overrides: list[str] = []
    of_origin: list[str] = []
    for problem in error.errors():
        loc = problem["loc"]
        # The key itself, what is below it, or a section that contains it.
        is_override = any(
            all(part == str(name) for part, name in zip(key, loc, strict=False))
            for key in overridden
        )
        problems = of_overrides if is_override else of_origin
        problems.append(_describe(loc, problem))
    if of_origin:
        of_origin[0] = f"{where}: {of_origin[0]}"
    return "; ".join([*of_overrides, *of_origin])


def _describe(loc: Sequence[int | str], problem: Mapping[str, Any]) -> str:
    key = ".".join(map(str, loc)) or "settings"
    if problem["type"] != "extra_forbidden":
        return f"{key}: {problem['msg']}, got {_shown(problem['input'])!r}"
    section: type[BaseModel] = Config
    for part in loc[:-1]:
        section = _subsection(section, str(part))
    known = [field.alias or name for name, field in section.model_fields.items()]
    closest = did_you_mean(str(loc[-1]), known)
    hint = f"did you mean {closest}?" if closest else f"known: {', '.join(known)}"
    return f"{key}: no such key ({hint})"


def _shown(value: Any) -> Any:
    """Return a value for messages: without the passwords of addresses."""
    if isinstance(value, str):
        return shown_address(value)
    if isinstance(value, Mapping):
        return {key: _shown(item) for key, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, list) else value


def _subsection(section: type[BaseModel], name: str) -> type[BaseModel]:
    annotation = section.model_fields[name].annotation
    is_union = typing.get_origin(annotation) in (Union, types.UnionType)
    options = typing.get_args(annotation) if is_union else (annotation,)
    return next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
