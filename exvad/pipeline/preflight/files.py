"""Whether the small files that a configuration names can be read: prompts and label files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exvad.aegm.prompts import load_prompt
from exvad.config.addresses import shown_address
from exvad.config.counts import count_of
from exvad.laam.phrases import LabelPhrases
from exvad.pipeline.preflight.findings import Finding

if TYPE_CHECKING:
    from exvad.config import Config


def check_prompt(setting: str, name: str) -> Finding:
    """Check that a prompt exists.

    Args:
        setting: the configuration key, such as `llm.prompt`.
        name: its value, a packaged prompt or the path of a text file.
    """
    try:
        load_prompt(name)
    except (ValueError, OSError) as error:
        return Finding(setting, False, f"{error}: set {setting}")
    return Finding(setting, True, f"{name}: can be read")


def check_label_file(config: Config) -> Finding:
    """Check that the prepared label file exists and is one."""
    file, setting = config.labels.file, "labels.file"
    try:
        classes = LabelPhrases.read(file).classes
    except (ValueError, OSError) as error:
        return Finding(setting, False, str(error))
    return Finding(
        setting, True, f"{shown_address(file)}: {count_of(len(classes), 'class', 'classes')}"
    )
