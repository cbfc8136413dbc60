"""The preprocess job with nothing to do: parts are merged once, and then few requests are made."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.aegm.language_stage import language_fingerprint
from exvad.aegm.vision_stage import vision_fingerprint
from exvad.config import load_config
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import write_manifest
from exvad.data.records import Video
from exvad.store.index.compaction import MIN_PARTS
from exvad.store.store import Store
from tests.helpers.feature_store import language_row, vision_row
from tests.helpers.object_store import environment, object_store
from tests.helpers.processes import run_exvad

CLASSES = ("Normal", "Fighting")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_job_with_nothing_to_do_makes_few_requests(tmp_path: Path) -> None:
    videos = [f"v{number}" for number in range(MIN_PARTS)]
    rows = tuple(Video(name, f"/nowhere/{name}.mp4", "train", (CLASSES[0],)) for name in videos)
    write_manifest(Manifest(CLASSES, rows), str(tmp_path / "videos.parquet"))
    settings = [
        *("data.kind=manifest", f"data.manifest={tmp_path / 'videos.parquet'}"),
        f"run={tmp_path / 'run'}",
    ]
    config = load_config("demo", settings)
    with object_store() as bucket:
        store = Store(bucket.url("store"))
        vision_settings = vision_fingerprint(config)
        vision = store.stage("vision", vision_settings)
        for video in videos:
            vision.append([vision_row(video)])
        language_settings = language_fingerprint(config, CLASSES)
        language = store.stage("language", {**language_settings, "vision": vision_settings})
        language.append([language_row(video) for video in videos])
        digest = vision.digest()

        arguments = ("preprocess", "--preset", "demo", "--no-check", *settings)
        for _ in range(2):
            bucket.proxy.requests.clear()
            finished = run_exvad(
                *arguments,
                f"store={store.root}",
                environment=environment(bucket.proxy.url),
            )
            assert finished.returncode == 0, finished.stderr
            assert f"{MIN_PARTS} of {MIN_PARTS} videos are ready, 0 failed" in finished.stderr
            assert len(vision.snapshot().large) == 1
            assert vision.snapshot().parts == ()
        # The settings (twice for each stage), the parts and compactions of each stage, a record and
        # the keys of the large part, the log of failures, and five for the part of explanations,
        # whose name is too short for its keys.
        assert len(bucket.proxy.requests) <= 20
        assert {method for method, _ in bucket.proxy.requests} <= {"GET", "HEAD"}
        assert vision.digest() == digest
