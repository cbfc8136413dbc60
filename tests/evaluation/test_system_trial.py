"""A trial trains and measures a system, and what it saves answers like any checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from exvad.checkpoints.checkpoint import Checkpoint, load_checkpoint
from exvad.config import Config
from exvad.data.dataset import read_run_manifest
from exvad.evaluation.evaluation import evaluate
from exvad.evaluation.system_trial import TrialPlan, run_trial
from exvad.laam.run_labels import RunLabels
from exvad.store.import_features import import_text
from exvad.store.run_data import RunData
from exvad.store.store import Store
from tests.helpers import planted

BUDGET = ("compare.steps=30", "compare.videos=32", "compare.validations=3", "compare.head_steps=40")


class Trial(NamedTuple):
    """A trial with its record and what it saved."""

    config: Config
    record: dict[str, Any]
    folder: Path

    @property
    def checkpoint(self) -> Checkpoint:
        return load_checkpoint(self.folder)


def trial(folder: Path, name: str, way: Any, *overrides: str, **options: Any) -> Trial:
    """Run a trial on the planted run in a folder."""
    config = planted.config(f"run={folder / 'run'}", "labels.k=0", *BUDGET, *overrides)
    manifest, store = read_run_manifest(config), Store(config.store_path)
    saved = folder / f"{name}-{way}"
    plan = TrialPlan(name, way, options)
    labels = RunLabels.load(config, manifest.classes)
    record = run_trial(plan, config, manifest, store, labels, 20, str(saved))
    return Trial(config, record, saved)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    planted.plant_run(folder, videos=120, validation=0.2, tests=30, timed=True)
    return folder


@pytest.fixture(scope="module")
def real_ad(folder: Path) -> Trial:
    return trial(folder, "real_ad", "F2", "compare.rate_factors=[1, 3]")


def test_trial_measures_a_system_with_its_class_head(real_ad: Trial) -> None:
    record = real_ad.record
    assert (record["system"], record["way"], record["seed"]) == ("real_ad", "F2", 0)
    metrics = record["metrics"]
    assert metrics["frame_auc"] > record["random"]["frame_auc"]
    assert metrics["map_strict_average"] > record["random"]["map_strict_average"]
    assert metrics["false_alarms_per_hour"] is not None
    low, high = record["intervals"]["latency_ap"]
    assert low <= metrics["latency_ap"] <= high
    assert record["selection"]["rate_factor"] in (1, 3)
    assert record["selection"]["step"] in (10, 20, 30)
    assert record["steps"] == 30
    assert set(record["per_class"]) <= set(planted.CLASSES[1:])


def test_saved_system_answers_as_it_was_measured(real_ad: Trial) -> None:
    checkpoint, config = real_ad.checkpoint, real_ad.config
    bank = RunData.load(config, ("test",)).bank
    again = evaluate(checkpoint, bank, read_run_manifest(config))
    assert again.metrics["frame_auc"] == pytest.approx(real_ad.record["metrics"]["frame_auc"])
    analysis = again.analyses[0]
    assert analysis.model.startswith("RealAD, exvad ")
    assert analysis.domain is not None
    assert analysis.domain.state in ("inside", "outside")
    assert real_ad.record["videos"] == {"train": 70, "test": 30}
    assert real_ad.record["missing"] == {"train": [], "test": []}
    assert analysis.classes == list(planted.CLASSES)
    assert any("class head on the frozen system (F2)" in text for text in analysis.problems)
    assert checkpoint.config.model.text == "none"


def test_system_without_a_class_head_answers_without_classes(folder: Path) -> None:
    coarse = trial(folder, "real_ad", "coarse")
    assert coarse.record["metrics"]["map_strict_average"] is None
    assert coarse.record["metrics"]["frame_auc"] > coarse.record["random"]["frame_auc"]
    checkpoint = coarse.checkpoint
    assert checkpoint.classes == ("Normal", "Abnormal")
    bank = RunData.load(coarse.config, ("test",)).bank
    features = next(features for name, features in bank.items() if int(name[1:]) % 5)
    analysis = checkpoint.analyze(features, "v")
    assert analysis.label == "Abnormal"
    assert any("has no class head" in text for text in analysis.problems)


def test_system_with_own_classes_is_trained_and_restored(folder: Path) -> None:
    settings = ("compare.rate_factors=[100]", "compare.native=true")
    own = trial(folder, "vadclip_labels", "F0", *settings)
    # The last look is the chosen one or not; none is higher than the highest.
    assert own.record["native"]["frame_auc"] >= own.record["metrics"]["frame_auc"]
    record = own.record
    assert record["metrics"]["map_strict_average"] > record["random"]["map_strict_average"]
    bank = RunData.load(own.config, ("test",)).bank
    analysis = own.checkpoint.analyze(next(iter(bank.values())), "v")
    assert analysis.problems == []
    assert np.isfinite(analysis.scores).all()


def test_trial_of_the_same_seed_gives_the_same_metrics(folder: Path, real_ad: Trial) -> None:
    again = trial(folder, "real_ad", "F2", "compare.rate_factors=[1, 3]")
    assert again.record["metrics"] == real_ad.record["metrics"]


def test_trial_says_why_a_system_cannot_be_trained(folder: Path) -> None:
    without_text = trial(folder, "tevad", "F2")
    assert "no language stage" in without_text.record["error"]
    assert not without_text.folder.exists()
    assert "were imported" in trial(folder, "vadclip", "F0").record["error"]


WIDE, TEXT = 48, 24


@pytest.fixture(scope="module")
def three_widths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with image features 32, labels 48 and text 24 wide."""
    folder = tmp_path_factory.mktemp("widths")
    planted.plant_run(folder, videos=60, validation=0.3, tests=20, timed=True, label_width=WIDE)
    config = planted.config(f"run={folder / 'run'}")
    manifest, rng = read_run_manifest(config), np.random.default_rng(0)
    texts = {video.video_id: rng.normal(size=TEXT) for video in manifest.videos}
    np.savez(folder / "texts.npz", allow_pickle=False, **texts)
    import_text(folder / "texts.npz", manifest, Store(config.store_path))
    return folder


SHORT = ("compare.steps=3", "compare.head_steps=2", "compare.margins=[]", "train.epochs=1")


@pytest.mark.parametrize(
    ("name", "way"),
    [("real_ad", "F2"), ("rtfm", "F1"), ("clip_tsa", "coarse"), ("pel4vad", "F0"), ("avvd", "F0"),
     ("ex_vad", "F0"), ("tevad", "F2")],
)  # fmt: skip
def test_images_labels_and_text_may_have_three_widths(
    three_widths: Path, name: str, way: str
) -> None:
    wide = trial(three_widths, name, way, *SHORT, "model.text=explanation")
    assert "error" not in wide.record
    assert wide.record["inputs"]["visual_width"] == planted.WIDTH
    shapes = {"ex_vad": [TEXT], "tevad": [0, TEXT]}
    assert wide.record["inputs"]["text_shape"] == shapes.get(name, [])
    bank = RunData.load(wide.config, ("test",)).bank
    again = evaluate(wide.checkpoint, bank, read_run_manifest(wide.config))
    assert again.metrics["frame_auc"] == pytest.approx(wide.record["metrics"]["frame_auc"])


@pytest.mark.parametrize(
    ("name", "way"), [("umil", "F2"), ("vadclip_labels", "F0"), ("real_ad", "F3")]
)
def test_labels_that_meet_images_of_another_width_are_a_sentence(
    three_widths: Path, name: str, way: str
) -> None:
    error = trial(three_widths, name, way, *SHORT).record["error"]
    assert f"their features are {planted.WIDTH} and {WIDE} wide: encode the labels" in error


def test_st_prompt_takes_the_stored_crops(tmp_path: Path) -> None:
    planted.plant_run(tmp_path, videos=60, validation=0.3, tests=20, timed=True, crops=5)
    own = trial(tmp_path, "st_prompt", "F0", *SHORT, "data.crops=5")
    assert own.record["crops"] == "5 crops side by side"
    system = own.checkpoint.system
    assert system is not None
    assert (system.crops, system.visual_width) == (5, planted.WIDTH)
    single = trial(tmp_path, "st_prompt", "F0", *SHORT)
    assert "preprocess with data.crops=5 or data.crops=10" in single.record["error"]
    tenfold = trial(tmp_path, "st_prompt", "F0", *SHORT, "data.crops=10")
    assert "set data.crops to the number of crops that are there" in tenfold.record["error"]
    bank = RunData.load(own.config, ("test",)).bank
    with pytest.raises(ValueError, match="`exvad compare` takes the stored crops"):
        own.checkpoint.analyze(next(iter(bank.values())), "v")


def test_margin_is_chosen_on_the_videos_that_select(folder: Path) -> None:
    own = trial(folder, "rtfm", "coarse", "compare.steps=15", "compare.margins=[1, 10, 100]")
    margin = own.record["chosen"]["margin"]
    assert margin in (1, 10, 100)
    system = own.checkpoint.system
    assert system is not None
    assert system.options == {"margin": margin}
    assert own.checkpoint.name.startswith(f"RTFM (one crop) [margin {margin:g}], exvad ")
    ranks = {}
    for value in (1, 10, 100):
        alone = trial(folder, "rtfm", "coarse", "compare.steps=15", margin=value).record
        assert alone["chosen"] == {}
        ranks[value] = round(alone["selection"]["val_auc"], 6), -alone["selection"]["val_loss"]
    assert ranks[margin] == max(ranks.values())


def test_options_of_the_configuration_and_of_the_plan_reach_the_system(folder: Path) -> None:
    settings = "compare.options={real_ad: {pairing: matched, normalize: false}}"
    own = trial(folder, "real_ad", "coarse", *SHORT, settings, normalize=True)
    assert own.record["options"] == {"pairing": "matched", "normalize": True}
    system = own.checkpoint.system
    assert system is not None
    assert system.title == "RealAD [pairing matched, normalize on]"


def test_systems_are_trained_as_published_for_the_kind_of_data_set(folder: Path) -> None:
    own = trial(folder, "clip_tsa", "coarse", *SHORT, "data.kind=xd_violence")
    checkpoint = own.checkpoint
    assert checkpoint.system is not None
    assert checkpoint.system.kind == "xd_violence"
    assert vars(checkpoint.network)["kappa"] == 0.9


def test_ex_vad_is_trained_by_its_own_settings(folder: Path) -> None:
    own = trial(folder, "ex_vad", "F0")
    assert own.checkpoint.system is None
    assert own.record["selection"]["epoch"] <= own.config.train.epochs


@pytest.mark.parametrize("text", ["none", "grounded"])
def test_ex_vad_is_trained_with_the_text_of_its_option(three_widths: Path, text: str) -> None:
    record = trial(three_widths, "ex_vad", "F0", text=text).record
    assert record["text"] == text
    assert record["options"] == {"text": text}
    # Grounded text is that of snippets, with a column for the votes of the captions.
    assert record["inputs"]["text_shape"] == ([] if text == "none" else [0, TEXT + 1])
