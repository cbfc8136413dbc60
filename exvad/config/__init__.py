"""Typed configuration: every setting in one place, presets, and dotted overrides."""

from exvad.config.loading import (
    ConfigError,
    build_config,
    dump_config,
    load_config,
    override_config,
    override_models,
    parse_overrides,
    preset_names,
)
from exvad.config.sections import (
    CaptionerConfig,
    Config,
    DataConfig,
    EndpointConfig,
    EngineConfig,
    LLMConfig,
    Resources,
    SandboxMode,
)
from exvad.config.training import TrainConfig

__all__ = [
    "CaptionerConfig",
    "Config",
    "ConfigError",
    "DataConfig",
    "EndpointConfig",
    "EngineConfig",
    "LLMConfig",
    "Resources",
    "SandboxMode",
    "TrainConfig",
    "build_config",
    "dump_config",
    "load_config",
    "override_config",
    "override_models",
    "parse_overrides",
    "preset_names",
]
