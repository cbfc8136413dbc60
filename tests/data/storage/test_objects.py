"""Buckets: one request per write, bounded retries, and errors that say what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from obstore.store import LocalStore

from exvad.data.storage import objects, retries
from exvad.data.storage.errors import StorageError
from exvad.data.storage.places import resolve_place
from tests.helpers.object_store import Faults, Kind, ObjectStore, object_store

TRANSIENT: tuple[Kind, ...] = ("503", "reset", "reset in body")


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.01)


@pytest.fixture
def bucket() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.mark.parametrize("megabytes", [0, 1, 20])
def test_a_write_is_one_request(bucket: ObjectStore, megabytes: int) -> None:
    data = bytes(megabytes << 20)
    resolve_place(bucket.url("folder/a")).write_bytes(memoryview(data))
    assert [method for method, _ in bucket.proxy.requests] == ["PUT"]
    assert bucket.names() == ["folder/a"]
    assert resolve_place(bucket.url("folder/a")).read_bytes() == data


def test_creation_is_one_request(bucket: ObjectStore) -> None:
    place = resolve_place(bucket.url("claim"))
    assert place.create_bytes(b"x")
    assert not place.create_bytes(b"y")
    assert [method for method, _ in bucket.proxy.requests] == ["PUT", "PUT"]


@pytest.mark.parametrize("kind", TRANSIENT)
def test_failed_requests_are_tried_again(bucket: ObjectStore, kind: Kind) -> None:
    methods = ("GET",) if kind == "reset in body" else ("PUT", "GET", "HEAD", "DELETE", "POST")
    bucket.proxy.faults = [Faults(kind, retries.TRIES - 1, method) for method in methods]
    place = resolve_place(bucket.url("folder/a"))
    place.write_bytes(b"content " * 1000)
    assert place.read_bytes() == b"content " * 1000
    assert place.exists()
    with place.open_sequential() as file:
        assert file.read() == b"content " * 1000
    assert resolve_place(bucket.url("folder")).list_files() == ["a"]
    place.delete()
    assert bucket.names() == []


def test_a_write_whose_answer_was_lost_is_tried_again(bucket: ObjectStore) -> None:
    bucket.proxy.faults = [Faults("reset", 1, "PUT", after=True)]
    resolve_place(bucket.url("a")).write_bytes(b"x")
    assert bucket.proxy.count("PUT") == 2
    assert bucket.names() == ["a"]


@pytest.mark.parametrize("kind", ["503", "reset"])
def test_a_request_that_keeps_failing_is_a_storage_error(bucket: ObjectStore, kind: Kind) -> None:
    bucket.proxy.faults = [Faults(kind, 99, part="broken")]
    place = resolve_place(bucket.url("broken"))
    calls: list[Callable[[], object]] = [
        lambda: place.write_bytes(b"x"),
        lambda: place.create_bytes(b"x"),
        place.read_bytes,
        place.exists,
        place.open_sequential,
    ]
    for call in calls:
        bucket.proxy.requests.clear()
        with pytest.raises(StorageError) as caught:
            call()
        assert bucket.proxy.count() == retries.TRIES
        assert str(caught.value).startswith(f"s3://{bucket.bucket}/broken: ")
        assert "\n" not in str(caught.value)
        if kind == "503" and bucket.proxy.count("HEAD") == 0:
            assert "SlowDown" in str(caught.value)


def test_a_request_that_is_not_answered_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_TIMEOUT", "1s")
    with object_store() as bucket:
        bucket.proxy.faults = [Faults("stall", 1, method) for method in ("PUT", "GET")]
        place = resolve_place(bucket.url("a"))
        place.write_bytes(b"x")
        assert place.read_bytes() == b"x"
        assert (bucket.proxy.count("PUT"), bucket.proxy.count("GET")) == (2, 2)


def test_the_delays_grow_and_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []
    monkeypatch.setattr(time, "sleep", delays.append)
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.25)

    def fail() -> None:
        raise retries.TransientError("busy")

    for _ in range(50):
        with pytest.raises(retries.TransientError, match="busy"):
            retries.call_with_retries(fail)
    for tried, delay in enumerate(delays):
        longest = 0.25 * 2 ** (tried % (retries.TRIES - 1))
        assert longest / 2 <= delay <= longest
    assert len(delays) == len(set(delays)) == 50 * (retries.TRIES - 1)


def test_a_file_that_changes_while_it_is_read_is_a_storage_error(bucket: ObjectStore) -> None:
    size = 4 << 20
    with resolve_place(bucket.put("a", bytes(size))).open_random() as file:
        assert file.read(10) == bytes(10)
        bucket.put("a", b"x" * size)
        file.seek(size // 2)
        with pytest.raises(StorageError, match="changed while it was read"):
            file.read(10)


def test_what_a_service_reports_as_gone_does_not_keep_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Like Azure and Google Cloud Storage, and unlike S3, a disk reports what is not there.
    store = LocalStore(tmp_path)
    monkeypatch.setattr(objects, "bucket_client", lambda *_: store)
    folder = resolve_place("az://container/folder")
    for name in "bd":
        (folder / name).write_bytes(b"x")
    folder.delete_files(["a", "b", "c", "d", "e"])
    assert folder.list_files() == []
    (folder / "a").delete()
