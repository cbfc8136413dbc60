"""A comparison plans every system and seed, and does nothing twice."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from exvad.baselines import SYSTEMS
from exvad.baselines.common.system import trainable_parameters
from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.config import Config
from exvad.data.dataset import read_run_manifest
from exvad.evaluation.system_trial import TrialPlan
from exvad.laam.run_labels import import_labels
from exvad.pipeline.studies.compare import (
    CompareOptions,
    compare,
    configured_plans,
    plan_trials,
    read_plans,
)
from exvad.store.import_features import import_text, import_visual
from exvad.store.store import Store
from tests.helpers import planted


def planted_config(folder: Path, *overrides: str) -> Config:
    """Plant a run and return its configuration with a small budget."""
    planted.plant_run(folder, videos=60, validation=0.3, tests=20, timed=True)
    small = ("compare.steps=6", "compare.videos=16", "compare.validations=2")
    budget = (*small, "compare.head_steps=4", "train.epochs=2")
    return planted.config(f"run={folder / 'run'}", "labels.k=0", *budget, *overrides)


def trained(systems: str) -> list[TrialPlan]:
    return [plan for plan in read_plans(systems) if isinstance(plan, TrialPlan)]


def test_all_systems_have_a_plan_with_their_default_way() -> None:
    plans = read_plans("all")
    assert [plan.name for plan in plans] == list(SYSTEMS)
    assert all(plan.way == SYSTEMS[plan.name].ways[0] for plan in plans)


def test_systems_are_named_with_another_way() -> None:
    plans = read_plans("rtfm, rtfm:F3,real_ad:coarse,rtfm")
    assert [(plan.name, plan.way) for plan in plans] == [
        ("rtfm", "F2"),
        ("rtfm", "F3"),
        ("real_ad", "coarse"),
    ]


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ("nonsense", "known are .*real_ad"),
        ("avvd:F2", "the ways of avvd are F0, coarse"),
        ("rtfm:F1:F2", "the ways of rtfm are"),
        ("rtfm:marge=1", r"--systems rtfm:marge=1: rtfm has no option 'marge': .*margin"),
        ("lavad:F2", "the ways of lavad are F3, coarse"),
        ("vera:every=2", "vera has no options"),
        ("rtfm:margin=wide", "'wide' is no value of the option margin"),
    ],
)
def test_unknown_systems_ways_and_options_are_refused(systems: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_plans(systems)


def test_options_are_named_after_the_system() -> None:
    plans = trained("rtfm:margin=1,rtfm:F3:margin=10,pel4vad:prior=[0.1,0.2]:kernel=3,rtfm")
    assert [(plan.name, plan.way, plan.options) for plan in plans] == [
        ("rtfm", "F2", {"margin": 1.0}),
        ("rtfm", "F3", {"margin": 10.0}),
        ("pel4vad", "F0", {"kernel": 3, "prior": (0.1, 0.2)}),
        ("rtfm", "F2", {}),
    ]
    assert plans[0].title == "RTFM (one crop) [margin 1]"
    assert plans[2].folder == "pel4vad-F0-kernel=3-prior=_0.1_0.2_"


def test_systems_without_training_are_scored_once_and_only_when_they_are_named(
    tmp_path: Path,
) -> None:
    named = [plan.name for plan in read_plans("all,training_free,lavad:coarse")]
    assert named == [*SYSTEMS, "lavad", "vera", "flashback", "lavad"]
    config = planted_config(tmp_path)
    plans = read_plans("real_ad,lavad,lavad:coarse")
    trials = plan_trials(config, plans, CompareOptions(seeds=3))
    assert [trial.plan.name for trial in trials] == ["real_ad"] * 3 + ["lavad"] * 2
    assert len({trial.keeps for trial in trials[3:]}) == 2
    other = config.model_copy(update={"llm": config.llm.model_copy(update={"model": "other"})})
    again = plan_trials(other, plans, CompareOptions(seeds=3))
    changed = [a.result != b.result for a, b in zip(trials, again, strict=True)]
    assert changed == [False] * 3 + [True] * 2


def test_options_of_the_preset_count_where_the_command_has_none(tmp_path: Path) -> None:
    options = "compare.options={rtfm: {margin: 1, smooth_across_videos: true}}"
    config = planted.config(f"run={tmp_path}/run", options)
    plans = configured_plans(config, "rtfm,rtfm:margin=1,rtfm:margin=10,real_ad")
    assert [plan.options for plan in plans if isinstance(plan, TrialPlan)] == [
        {"margin": 1.0, "smooth_across_videos": True},
        {"margin": 10.0, "smooth_across_videos": True},
        {},
    ]
    for wrong in ("{rtfmm: {margin: 1}}", "{rtfm: {marge: 1}}"):
        config = planted.config(f"run={tmp_path}/run", f"compare.options={wrong}")
        with pytest.raises(ValueError, match=r"compare\.options: "):
            configured_plans(config, "real_ad")


def test_compare_refuses_no_seeds(tmp_path: Path) -> None:
    config = planted.config(f"run={tmp_path}/run")
    with pytest.raises(ValueError, match="--seeds"):
        compare(config, CompareOptions(seeds=0))


def test_a_trial_is_found_by_what_it_depends_on(tmp_path: Path) -> None:
    config = planted_config(tmp_path)
    plans = read_plans("real_ad,rtfm,real_ad:F3,rtfm:margin=1")
    options = CompareOptions(seeds=2)
    trials = plan_trials(config, plans, options)
    places = {str(trial.result) for trial in trials}
    assert len(places) == len(trials) == 8
    assert [bool(trial.keeps) for trial in trials] == [True, False] * 4
    assert len({trial.keeps for trial in trials}) == 5
    again = plan_trials(config, plans, options)
    assert {str(trial.result) for trial in again} == places
    longer = config.model_copy(update={"compare": config.compare.model_copy(update={"steps": 7})})
    assert not places & {str(t.result) for t in plan_trials(longer, plans, options)}


def test_results_of_other_labels_or_features_do_not_count(tmp_path: Path) -> None:
    config = planted_config(tmp_path)
    plans = read_plans("real_ad,ex_vad,flashback")

    def places() -> set[str]:
        return {str(t.result) for t in plan_trials(config, plans, CompareOptions(seeds=1))}

    first = places()
    with np.load(tmp_path / "labels.npz") as labels:
        same = dict(labels)
    np.savez(tmp_path / "labels.npz", allow_pickle=False, **same)
    import_labels(tmp_path / "labels.npz", planted.CLASSES, config)
    assert places() == first
    np.savez(tmp_path / "labels.npz", allow_pickle=False, **{k: v + 1 for k, v in same.items()})
    import_labels(tmp_path / "labels.npz", planted.CLASSES, config)
    other_labels = places()
    assert not other_labels & first
    shutil.rmtree(tmp_path / "run" / "store")
    manifest = read_run_manifest(config)
    import_visual(tmp_path / "in", manifest, Store(config.store_path), config.data.stride)
    assert not places() & (first | other_labels)


def test_texts_change_the_results_of_systems_that_read_them(tmp_path: Path) -> None:
    config = planted_config(tmp_path)
    plans = read_plans("real_ad,tevad,flashback")

    def places() -> list[str]:
        return [str(t.result) for t in plan_trials(config, plans, CompareOptions(seeds=1))]

    before, manifest = places(), read_run_manifest(config)
    np.savez(tmp_path / "text.npz", v0=np.ones(8, np.float32), v1=np.ones(8, np.float32))
    import_text(tmp_path / "text.npz", manifest, Store(config.store_path))
    after = places()
    assert [a != b for a, b in zip(before, after, strict=True)] == [False, True, True]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of Ray and MLflow themselves
def test_comparison_trains_what_is_missing_and_writes_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = planted_config(tmp_path)
    options = CompareOptions(
        "real_ad,real_ad:coarse,ex_vad,tevad,flashback", 2, resamples=10, snippets=32
    )
    assert compare(config, options) == 0
    folder = tmp_path / "run" / "comparison"
    assert "9 of 9 trainings are missing" in capsys.readouterr().err
    text = (folder / "tables.md").read_text()
    assert "| RealAD, F2 |" in text
    assert "| Ex-VAD, F0 |" in text
    assert re.search(r"TEVAD \(CLIP text\), F2: .* has no language stage", text)
    assert re.search(r"Flashback-CLIP, F3: .* features and labels were imported", text)
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["seed"] for row in rows if row["way"] == "coarse"} == {"0", "1"}
    # Table 7 is about the networks that were trained.
    for name, way in (("real_ad", "coarse"), ("ex_vad", "F0")):
        measured = {
            float(row["value"])
            for row in rows
            if (row["system"], row["way"], row["metric"]) == (name, way, "parameters")
        }
        network = load_checkpoint(folder / f"{name}-{way}").network
        assert measured == {trainable_parameters(network)}
    assert load_checkpoint(folder / "real_ad-F2").system is not None
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert compare(config, options) == 0
    output = capsys.readouterr().err
    assert "0 of 9 trainings are missing" in output
    assert "MLflow" not in output
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.json")} == before
