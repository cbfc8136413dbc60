"""The detector of a command: the checkpoint that its arguments name, or the memory of scenes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from transformers.utils.logging import disable_progress_bar

from exvad.checkpoints.registry import find_newest_checkpoint, resolve_checkpoint
from exvad.checkpoints.zero_shot import ZERO_SHOT, add_scenes, read_zero_shot, zero_shot_config
from exvad.config import Config, override_config
from exvad.config.addresses import shown_address
from exvad.detector.detector import Detector
from exvad.pipeline.preflight.models import require_clip


@dataclass(frozen=True)
class ZeroShotOptions:
    """What the command line says about detection without training.

    Args:
        wanted: whether it is asked for even if there is a checkpoint.
        memory: the memory of scenes; None for the one that ships with exvad.
        normal: further normal scenes.
        look_for: `KIND=SCENE` items, further incidents.
    """

    wanted: bool = False
    memory: str | None = None
    normal: Sequence[str] = ()
    look_for: Sequence[str] = ()

    @classmethod
    def from_arguments(cls, options: argparse.Namespace) -> Self:
        """Return the options among the arguments that `add_detector` declares.

        Raises:
            ValueError: an item of `--look-for` has no kind or no scene.
        """
        chosen = cls(options.zero_shot, options.memory, options.normal, options.look_for)
        chosen.kinds()
        return chosen

    @property
    def is_given(self) -> bool:
        """Whether any option asks for detection without training."""
        return bool(self.wanted or self.memory or self.normal or self.look_for)

    def kinds(self) -> dict[str, list[str]]:
        """Return kind of incident → the scenes of `look_for`.

        Raises:
            ValueError: an item has no kind or no scene.
        """
        kinds: dict[str, list[str]] = {}
        for item in self.look_for:
            kind, _, scene = (part.strip() for part in item.partition("="))
            if not kind or not scene:
                raise ValueError(
                    f"--look-for {item!r}: write KIND=SCENE, such as "
                    "'Climbing=a person climbs over a fence'"
                )
            kinds.setdefault(kind, []).append(scene)
        return kinds

    def apply(self, config: Config) -> Config:
        """Return a configuration of detection without training, with these options beside its own.

        Args:
            config: the configuration; its memory is replaced, its scenes stay.

        Raises:
            ValueError: an item of `look_for` has no kind or no scene, or a scene is too long.
        """
        if self.memory:
            config = override_config(config, {"zero_shot.memory": self.memory})
        return add_scenes(config, self.normal, self.kinds())


def choose_checkpoint(reference: str | None, zero_shot: ZeroShotOptions) -> Path | Config | None:
    """Return what `--checkpoint` names: a folder, or settings to detect without training.

    Args:
        reference: its value; None if it is not given.
        zero_shot: the options that ask for detection without training.

    Raises:
        ValueError: both a trained detector and such options are given, or there is no such
            checkpoint.
    """
    if not reference:
        return None
    config = read_zero_shot(reference)
    if config is None and zero_shot.is_given:
        raise ValueError(
            f"--checkpoint {shown_address(reference)} names a trained detector; --zero-shot, "
            "--memory, --normal and --look-for are for detection without one, or for a YAML file "
            "of its settings: give either"
        )
    return config or resolve_checkpoint(reference)


def choose_settings(
    reference: str | None, overrides: Mapping[str, Any], zero_shot: ZeroShotOptions
) -> Config | None:
    """Return the settings to detect without training that a command of the server describes.

    Args:
        reference: the checkpoint, a YAML file of settings, or nothing.
        overrides: settings that replace those of the file.
        zero_shot: the options that ask for detection without training.

    Returns:
        None if the reference is all that is said.

    Raises:
        ValueError: a trained detector is named, and options for one without training.
    """
    if not zero_shot.is_given and not overrides:
        return None
    chosen = choose_checkpoint(reference or ZERO_SHOT, zero_shot)
    if not isinstance(chosen, Config):
        raise ValueError(
            "--set is for detection without training here: a server takes the frozen models of a "
            "checkpoint from `models` in its settings"
        )
    return zero_shot.apply(override_config(chosen, overrides))


def load_detector(
    checkpoint: Path | Config | None,
    overrides: Mapping[str, Any],
    zero_shot: ZeroShotOptions,
    notes: Console,
) -> Detector:
    """Return the detector of a command, and print which one it is if no argument says it.

    Args:
        checkpoint: the folder of the checkpoint, or the configuration of detection without
            training; None for the checkpoint of the newest run, or for detection without training
            if there is none.
        overrides: settings of the frozen models that replace the checkpoint's.
        zero_shot: what the command line says about detection without training.
        notes: where to print.

    Raises:
        ValueError: there is neither a checkpoint nor a CLIP to detect without one.
    """
    if checkpoint is None and not zero_shot.is_given:
        checkpoint = find_newest_checkpoint()
        if checkpoint is not None:
            notes.print(
                f"using the checkpoint of the newest run, {checkpoint}", style="dim", markup=False
            )
    disable_progress_bar()
    if checkpoint is None:
        checkpoint, overrides = zero_shot_config(overrides), {}
    if isinstance(checkpoint, Config):
        config = zero_shot.apply(override_config(checkpoint, overrides))
        return _zero_shot_detector(config, notes)
    return Detector(checkpoint, overrides=overrides)


def _zero_shot_detector(config: Config, notes: Console) -> Detector:
    """Return the detector without training.

    Raises:
        ValueError: there is no CLIP.
    """
    require_clip(config, "--set clip.model=local-dir:FOLDER")
    detector = Detector(config)
    notes.print(
        f"no checkpoint: comparing frames with a memory of scenes, {detector.checkpoint.name}",
        style="dim",
        soft_wrap=True,
    )
    return detector
