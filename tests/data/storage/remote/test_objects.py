"""Buckets: one request per write, bounded retries, and errors that say what happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from obstore.store import LocalStore

from exvad.data.storage.errors import StorageError
from exvad.data.storage.places import resolve_place
from exvad.data.storage.remote import objects, retries
from tests.helpers.google_storage import GoogleStorage, google_storage
from tests.helpers.object_store import Faults, Kind, ObjectStore, environment, object_store

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


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """Run a server that gives one answer; yield its address and the methods of the requests."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            requests.append(self.command)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = _answer

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
        server.shutdown()


def test_what_is_refused_is_not_tried_again(bucket: ObjectStore) -> None:
    bucket.proxy.faults = [Faults("403", 99)]
    with pytest.raises(StorageError, match="403 Forbidden"):
        resolve_place(bucket.url("folder")).list_files()
    assert bucket.proxy.count() == 1


def test_a_bucket_that_is_not_there_is_named(bucket: ObjectStore) -> None:
    place = resolve_place(f"s3://{bucket.bucket}-2/a")
    with pytest.raises(StorageError, match=rf"^s3://{bucket.bucket}-2/a: there is no such bucket$"):
        place.write_bytes(b"x")
    for call in (place.list_files, place.list_folders, place.read_bytes):
        with pytest.raises(StorageError, match=r"-2/a: there is no such bucket$"):
            call()
    assert bucket.proxy.count() == 4


@pytest.mark.parametrize(
    ("status", "code", "message", "reason"),
    [
        (400, "ExpiredToken", "The token has expired.", "The token has expired (ExpiredToken)"),
        (400, "InvalidToken", "", "InvalidToken"),
        (400, "AuthorizationHeaderMalformed", "It&apos;s eu-west-1", "It's eu-west-1 (Auth"),
        (403, "AccessDenied", "No rights\nRequestId:1", "No rights (AccessDenied)"),
        (301, "PermanentRedirect", "Elsewhere", "is in another region: set AWS_REGION to it"),
    ],
)
def test_refusals_are_not_tried_again_and_named_without_xml(
    status: int, code: str, message: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    with answering(status, body.encode()) as (url, requests):
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        place = resolve_place(f"s3://refused-{status}-{code.lower()}/a")
        calls: list[Callable[[], object]]
        calls = [place.read_bytes, place.list_files, lambda: place.write_bytes(b"x")]
        calls += [place.exists, place.open_random]
        for call in calls:
            requests.clear()
            with pytest.raises(StorageError) as error:
                call()
            assert reason in str(error.value)
            assert "<" not in str(error.value)
            # An answer to HEAD has no body: the reason is asked for.
            assert requests in (["HEAD"], ["HEAD", "GET"], ["GET"], ["PUT"])


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleStorage]:
    with google_storage(tmp_path_factory.mktemp("testbench")) as found:
        yield found


@pytest.mark.parametrize("kind", TRANSIENT)
def test_requests_to_google_that_fail_are_tried_again(
    google: GoogleStorage, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    for name, value in google.variables.items():
        monkeypatch.setenv(name, value)
    google.proxy.requests.clear()
    methods = ("GET",) if kind == "reset in body" else ("PUT", "GET", "HEAD", "DELETE")
    google.proxy.faults = [Faults(kind, retries.TRIES - 1, method) for method in methods]
    folder = resolve_place(f"{google.url}/{kind}".replace(" ", "-"))
    (folder / "a").write_bytes(b"content " * 1000)
    assert (folder / "a").read_bytes() == b"content " * 1000
    assert (folder / "a").exists()
    assert not (folder / "a").create_bytes(b"x")
    assert folder.list_files() == ["a"]
    (folder / "b").write_bytes(b"")
    folder.delete_files(["a", "b"])
    assert folder.list_files() == []
    assert google.proxy.count() >= 8 + 4 * len(methods)


def test_google_notices_that_a_file_changes_while_it_is_read(
    google: GoogleStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in google.variables.items():
        monkeypatch.setenv(name, value)
    size = 4 << 20
    place = resolve_place(f"{google.url}/changing")
    place.write_bytes(bytes(size))
    with place.open_random() as file:
        assert file.read(10) == bytes(10)
        place.write_bytes(b"x" * size)
        file.seek(size // 2)
        with pytest.raises(StorageError, match="changed while it was read"):
            file.read(10)
