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
from exvad.checkpoints.zero_shot import read_zero_shot, zero_shot_config
from exvad.config import Config, override_config
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

    def config(self, overrides: Mapping[str, Any]) -> Config:
        """Return the configuration of detection without training.

        Args:
            overrides: dotted key → value; the options count before them.

        Raises:
            ValueError: an item of `look_for` has no kind or no scene, or a setting is invalid.
        """
        values = dict(overrides)
        if self.memory:
            values["zero_shot.memory"] = self.memory
        if self.normal:
            values["zero_shot.normal"] = [*values.get("zero_shot.normal", []), *self.normal]
        if kinds := self.kinds():
            values["zero_shot.look_for"] = {**values.get("zero_shot.look_for", {}), **kinds}
        return zero_shot_config(values)


def choose_checkpoint(reference: str | None, zero_shot: ZeroShotOptions) -> Path | Config | None:
    """Return what `--checkpoint` names: a folder, or settings to detect without training.

    Args:
        reference: its value; None if it is not given.
        zero_shot: the options that ask for detection without training.

    Raises:
        ValueError: both are given, or there is no such checkpoint.
    """
    if not reference:
        return None
    if zero_shot.is_given:
        raise ValueError(
            "--checkpoint names a trained detector; --zero-shot, --memory, --normal and --look-for "
            "are for detection without one: give either"
        )
    return read_zero_shot(reference) or resolve_checkpoint(reference)


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
        checkpoint, overrides = zero_shot.config(overrides), {}
    if isinstance(checkpoint, Config):
        return _zero_shot_detector(override_config(checkpoint, overrides), notes)
    return Detector(checkpoint, overrides=overrides)


def _zero_shot_detector(config: Config, notes: Console) -> Detector:
    """Return the detector without training.

    Raises:
        ValueError: there is no CLIP.
    """
    require_clip(config)
    detector = Detector(config)
    notes.print(
        f"no checkpoint: comparing frames with a memory of scenes, {detector.checkpoint.name}",
        style="dim",
        soft_wrap=True,
    )
    return detector
