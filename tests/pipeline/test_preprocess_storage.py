"""The preprocess job on a bucket whose answers fail for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.store.completeness import missing_features
from exvad.store.store import Store
from tests.helpers.object_store import Faults, environment, object_store
from tests.helpers.processes import run_exvad
from tests.helpers.world_videos import render_videos, write_listing

ONE_ACTOR = [
    f"stages.{stage}.{end}_actors=1" for stage in ("vision", "language") for end in ("min", "max")
]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_storage_that_fails_costs_no_video(tmp_path: Path) -> None:
    videos = render_videos(tmp_path, ("Normal", "Fighting"), seed=5_000_000)
    with object_store() as bucket:
        listing = tmp_path / "videos.csv"
        write_listing(listing, videos)
        text = listing.read_text()
        for path, _ in videos:
            text = text.replace(str(path), bucket.put(path.name, path.read_bytes()))
        listing.write_text(text)
        store = bucket.url("runs/store")
        arguments = [
            *("preprocess", "--no-check", "data.kind=manifest", f"data.manifest={listing}"),
            *(f"run={bucket.url('runs')}", *ONE_ACTOR),
        ]
        # One video is never delivered; everything else fails now and then.
        bucket.proxy.faults = [
            Faults("503", 999, "GET", "v1.mp4"),
            Faults("503", 2, "PUT", ".parquet"),
            Faults("reset", 2, "GET", "v0.mp4"),
        ]
        finished = run_exvad(*arguments, environment=environment(bucket.proxy.url))
        assert finished.returncode == 2, finished.stderr
        assert "storage failed for 1 of 2 videos, which are not done; run again" in finished.stderr
        assert "Traceback" not in finished.stderr
        assert list(missing_features(Store(store), ["v0", "v1"])) == ["v1"]
        assert Store(store).failures.rows() == []

        bucket.proxy.faults.clear()
        bucket.proxy.requests.clear()
        finished = run_exvad(*arguments, environment=environment(bucket.proxy.url))
        assert finished.returncode == 0, finished.stderr
        assert "2 of 2 videos are ready, 0 failed" in finished.stderr
        assert bucket.proxy.count(part="v0.mp4") == 0
        assert missing_features(Store(store), ["v0", "v1"], "explanation") == {}
        assert not [name for name in bucket.names() if name.endswith(".tmp")]
