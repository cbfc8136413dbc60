"""Videos in a bucket are read over the real S3 protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exvad.data.storage.errors import StorageError
from exvad.data.storage.remote import retries
from exvad.data.storage.remote.reading import MIB
from exvad.video.chunks import plan_chunks
from exvad.video.container import VideoError
from exvad.video.decoding import read_frames
from exvad.video.survey import probe
from tests.helpers.object_store import Faults, Kind, ObjectStore, object_store
from tests.helpers.videos import decode_video, write_video

FRAMES, STRIDE = 60, 3


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.01)
    with object_store() as store:
        yield store


def secret_uri(bucket: ObjectStore, name: str) -> str:
    """Return the URI of an object, with secrets."""
    host = bucket.proxy.url.removeprefix("http://")
    return (
        f"s3://user:secret-key@{bucket.bucket}/{name}?region=us-east-1&scheme=http"
        f"&endpoint_override={host}"
    )


def indices(uri: str) -> list[int]:
    """Decode a video and return the indices that it shows."""
    return decode_video(uri, STRIDE, 8)[0]


@pytest.mark.parametrize("name", ["clip.mp4", "v=x__#1_label_G-0 日本.mp4"])
def test_open_video_reads_a_bucket_like_a_file(
    tmp_path: Path, bucket: ObjectStore, name: str
) -> None:
    path = write_video(tmp_path / name, FRAMES, size=(64, 48))
    uri = bucket.put(name, path.read_bytes())
    for address in (uri, secret_uri(bucket, name)):
        bucket.proxy.requests.clear()
        assert indices(address) == list(range(0, FRAMES, STRIDE))
        assert bucket.proxy.count("GET") > 0


@pytest.mark.parametrize("name", ["clip.mp4", "v=x__#1_label_G-0 日本.mp4"])
def test_open_video_reads_a_file_uri_like_a_file(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / name, FRAMES, size=(64, 48))
    assert indices(f"file://{tmp_path}/{name}") == list(range(0, FRAMES, STRIDE))


def test_open_video_names_a_missing_object_without_secrets(bucket: ObjectStore) -> None:
    with pytest.raises(VideoError, match="there is no such file") as caught:
        plan_chunks("clip", secret_uri(bucket, "missing.mp4"))
    assert caught.value.path == f"s3://{bucket.bucket}/missing.mp4"
    assert "secret" not in str(caught.value)


def test_open_video_names_an_empty_object(bucket: ObjectStore) -> None:
    with pytest.raises(VideoError, match="the file is empty"):
        probe(bucket.put("empty.mp4", b""))


@pytest.mark.parametrize("kind", ["503", "reset", "reset in body"])
def test_a_video_is_read_whole_although_requests_fail(
    bucket: ObjectStore, tmp_path: Path, kind: Kind
) -> None:
    path = write_video(tmp_path / "clip.mp4", FRAMES, size=(64, 48))
    uri = bucket.put("clip.mp4", path.read_bytes())
    bucket.proxy.faults = [Faults(kind, 3, "GET")]
    assert probe(uri).num_frames == FRAMES
    assert bucket.proxy.count("GET") == 4


@pytest.mark.parametrize("kind", ["503", "reset", "reset in body"])
@pytest.mark.parametrize("passed", [0, 1])
def test_storage_that_fails_is_neither_a_bad_video_nor_its_end(
    bucket: ObjectStore, tmp_path: Path, kind: Kind, passed: int
) -> None:
    path = write_video(tmp_path / "clip.avi", 40, codec="rawvideo", size=(320, 240))
    assert path.stat().st_size > 2 * MIB
    uri = bucket.put("clip.avi", path.read_bytes())
    readers: list[Callable[[str], object]] = [
        probe,
        lambda uri: plan_chunks("clip", uri),
        lambda uri: read_frames(uri, [1.5]),
    ]
    for read in readers:
        bucket.proxy.faults = [Faults(kind, 99, "GET", skip=passed)]
        with pytest.raises(StorageError, match=r"clip\.avi"):
            read(uri)
    bucket.proxy.faults.clear()
    assert probe(uri).num_frames == 40


def test_a_refused_request_is_no_bad_video(bucket: ObjectStore) -> None:
    bucket.proxy.faults = [Faults("403", 99)]
    with pytest.raises(StorageError, match=r"clip\.mp4"):
        probe(bucket.url("clip.mp4"))
    # The answer to a HEAD has no body: a GET fetches the reason.
    assert [method for method, _ in bucket.proxy.requests] == ["HEAD", "GET"]
