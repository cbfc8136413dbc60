"""Clients of buckets: one per process, with credentials from where the AWS tools look."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from exvad.data.storage import clients
from exvad.data.storage.places import resolve_place
from exvad.store.store import Store
from tests.helpers.feature_store import FINGERPRINT, vision_row
from tests.helpers.object_store import ObjectStore, object_store


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A bucket whose keys the environment does not have."""
    with object_store() as store:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        yield store


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A service that hands out credentials, as containers have it; the requests it got."""
    fetches: list[str] = []
    expires = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    keys = {"AccessKeyId": "fetched", "SecretAccessKey": "x", "Token": "t", "Expiration": expires}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetches.append(self.path)
            body = json.dumps(keys).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/role"
    token = tmp_path / "token"
    token.write_text("token")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
    yield fetches
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_process_fetches_credentials_once_per_bucket(
    bucket: ObjectStore, credentials: list[str]
) -> None:
    for index in range(3):
        stage = Store(bucket.url("store")).stage("vision", FINGERPRINT)
        stage.append([vision_row(f"{index}")])
    assert len(stage.table()) == 3
    assert len(credentials) == 1
    assert set(bucket.proxy.keys) == {"fetched"}


def test_threads_share_one_client(bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    barrier, found = threading.Barrier(8), []

    def open_client() -> None:
        barrier.wait()
        found.append(clients.bucket_client("s3", bucket.bucket, ()))

    threads = [threading.Thread(target=open_client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in found}) == 1


def test_the_credentials_of_a_profile_are_used(
    bucket: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    file.write_text("[lab]\naws_access_key_id = of-the-lab\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    resolve_place(bucket.url("a")).write_bytes(b"x")
    assert set(bucket.proxy.keys) == {"of-the-lab"}


def test_a_profile_without_boto3_is_refused_in_one_sentence(
    bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec

    def without_boto3(name: str) -> ModuleSpec | None:
        return None if name == "boto3" else find_spec(name)

    monkeypatch.setattr(clients, "find_spec", without_boto3)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    with pytest.raises(ValueError, match=r"AWS_PROFILE=lab needs the package boto3: install it"):
        resolve_place(bucket.url("a")).write_bytes(b"x")


def test_a_profile_that_does_not_exist_is_refused_in_one_sentence(
    bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    with pytest.raises(ValueError, match=r"AWS_PROFILE=lab.*lab"):
        resolve_place(bucket.url("a")).write_bytes(b"x")


def test_pyarrow_finds_the_account_of_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_USE_EMULATOR", raising=False)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ValueError, match="az:// needs AZURE_STORAGE_ACCOUNT_NAME"):
        clients.arrow_client("az", ())
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    for key in (None, "a2V5"):
        if key:
            monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", key)
        assert clients.arrow_client("az", ()).type_name == "abfs"
