"""A checkpoint of imported features says at once that CLIP does not make such features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from exvad.checkpoints.checkpoint import Checkpoint, save_checkpoint
from exvad.cli.watching import watch_sources
from exvad.config import load_config
from exvad.detector.detector import Detector
from exvad.detector.imported_features import check_encoder_fits
from exvad.inference.calibration import Calibration
from exvad.inference.network import build_network
from exvad.laam.phrases import LabelPhrases
from exvad.laam.run_labels import IMPORTED_ORIGIN
from exvad.serving.schemas.streams import StreamOptions
from exvad.serving.settings import ServerSettings


def make_checkpoint(width: int, origin: str = IMPORTED_ORIGIN) -> Checkpoint:
    """Return an untrained checkpoint for image features of a width."""
    config = load_config("ucf_crime", ["model.text=none", "device=cpu"])
    labels = LabelPhrases(phrases={"Normal": ["a"], "Arson": ["b"]}, origin=origin)
    network = build_network(config, 64, 2, width)
    return Checkpoint(network, torch.eye(2, 64), labels, config, Calibration(), {}, {})


def test_videos_are_refused_before_clip_is_looked_for(tmp_path: Path, robbery: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", make_checkpoint(48))
    with pytest.raises(ValueError, match=r"imported features 48 wide, and clip\.model=.* 512"):
        Detector(tmp_path / "checkpoint").analyze(robbery)


def test_streams_are_refused_before_clip_is_looked_for(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", make_checkpoint(48))
    with pytest.raises(ValueError, match=r"imported features 48 wide, and clip\.model=.* 512"):
        watch_sources({}, StreamOptions(), ServerSettings(), True, tmp_path / "checkpoint")


def test_features_that_clip_may_have_made_are_not_refused() -> None:
    check_encoder_fits(make_checkpoint(512))
    check_encoder_fits(make_checkpoint(48, "a language model"))
    unknown = make_checkpoint(48)
    clip = unknown.config.clip.model_copy(update={"model": "/no/such/folder"})
    check_encoder_fits(
        replace(unknown, config=unknown.config.model_copy(update={"clip": clip})),
    )
