"""All systems of the comparison with three seeds on the demo world, and the same command again.

The benchmark makes the demo's features first, unless `--run` names a run that has them; of that it
reads features and labels only.

    python -m bench.compare [--quick] [--run FOLDER]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

from bench._harness import emit, make_features
from exvad.config import Config, load_config
from exvad.pipeline.studies.compare import CompareOptions, compare

SEEDS = 3
GOALS = {"minutes": ("<", 20.0), "minutes_again": ("<", 1.0), "systems_failed": ("<=", 0.0)}


def prepare(folder: Path, source: Path | None, quick: bool) -> Config:
    """Return the configuration of a run of the demo preset with features and labels.

    Args:
        folder: where the run is made.
        source: a run to copy features and labels from; None to make them.
        quick: whether to take few videos and steps.
    """
    run = folder / "run"
    overrides = [f"run={run}", f"data.root={folder}/videos"]
    if quick:
        overrides += [
            "data.world.train_videos=40",
            "data.world.test_videos=10",
            "compare.steps=5",
            "compare.rate_factors=[1]",
            "train.epochs=2",
            "train.milestones=[1]",
        ]
    if source is None:
        make_features(overrides)
    else:
        run.mkdir(parents=True)
        shutil.copytree(source / "store", run / "store")
        for path in [*source.glob("manifest.*"), *source.glob("labels.*")]:
            shutil.copy(path, run)
    return load_config("demo", overrides)


def main() -> None:
    """Run the benchmark and print its results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, redirect_stdout(sys.stderr):
        config = prepare(Path(name), arguments.run, arguments.quick)
        options = CompareOptions(seeds=1 if arguments.quick else SEEDS)
        minutes = []
        for _ in range(2):
            began = time.monotonic()
            compare(config, options)
            minutes.append((time.monotonic() - began) / 60)
        results = [
            json.loads(path.read_text()) for path in Path(name).glob("run/comparison/*.json")
        ]
        records = [record for record in results if "system" in record]
        failed = [record for record in records if "error" in record]
    metrics = {
        "minutes": minutes[0],
        "minutes_again": minutes[1],
        "trainings": float(len(records)),
        "systems_failed": float(len(failed)),
    }
    emit("compare", metrics, GOALS)


if __name__ == "__main__":
    main()
