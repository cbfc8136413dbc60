"""Clients of buckets: one per process, with credentials from where the AWS tools look."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from exvad.data.storage.errors import StorageError
from exvad.data.storage.places import Place, resolve_place
from exvad.data.storage.remote import clients
from exvad.store.store import Store
from tests.helpers.feature_store import FINGERPRINT, vision_row
from tests.helpers.object_store import Faults, ObjectStore, Proxy, object_store, proxy_before


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


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Proxy]:
    """A service of Google that refuses every request, in an environment without credentials."""
    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "GCE_", "STORAGE_EMULATOR")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with proxy_before(0) as service:
        service.faults = [Faults("403", 99)]
        monkeypatch.setenv("GOOGLE_BASE_URL", service.url)
        monkeypatch.setenv("GOOGLE_ALLOW_HTTP", "true")
        yield service


def google_place() -> Place:
    """A place in a bucket of Google that no test has used, since a process keeps its client."""
    return resolve_place(f"gs://bucket-{uuid.uuid4().hex}/a")


def test_google_without_credentials_is_refused_before_any_request(
    google: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent, socket.socket() as first, socket.socket() as second:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for waiting in (first, second):  # they fill the queue: nobody else gets an answer
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        monkeypatch.setattr(clients, "GOOGLE_METADATA", silent.getsockname())
        monkeypatch.setattr(clients, "METADATA_TIMEOUT", 0.1)
        with pytest.raises(ValueError, match=r"^gs:// needs credentials: set GOOGLE_APPL[^\n]*$"):
            google_place().write_bytes(b"x")
    assert google.requests == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "Unable to open service account file"),
        ("{", "Unable to decode service account file"),
        ('{"type": "external_account"}', "expected `service_account` or `authorized_user`"),
    ],
)
def test_a_key_file_of_google_that_is_none_is_refused_in_one_sentence(
    google: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: str | None,
    reason: str,
) -> None:
    file = tmp_path / "key.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(ValueError, match=rf"^gs://[^\n]* can't be opened: [^\n]*{reason}[^\n]*$"):
        google_place().write_bytes(b"x")


@pytest.mark.parametrize("credentials", ["key", "token", "anonymous"])
def test_credentials_that_google_refuses_are_tried_once(
    google: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, credentials: str
) -> None:
    if credentials == "key":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file(tmp_path)))
    elif credentials == "token":
        monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "expired")
    else:
        monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    place = google_place()
    calls: list[Callable[[], object]] = [
        lambda: place.write_bytes(b"x"),
        place.read_bytes,
        place.exists,
        place.list_files,
        place.delete,
    ]
    for call in calls:
        google.requests.clear()
        with pytest.raises(StorageError, match=r"^gs://[^\n]*/a: [^\n]*403 Forbidden[^\n]*$"):
            call()
        methods = [method for method, _ in google.requests]
        # An answer to HEAD has no body: the reason is asked for.
        assert methods == (["HEAD", "GET"] if call == place.exists else [methods[0]])


def key_file(folder: Path) -> Path:
    """Write the key file of a service account that Google does not know."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "client_email": "someone@project.iam.gserviceaccount.com",
        "private_key": key.decode(),
        "private_key_id": "1",
    }
    file = folder / "key.json"
    file.write_text(json.dumps(account))
    return file


def test_an_emulator_of_google_needs_no_credentials(
    google: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_BASE_URL")
    for host in (google.url, google.url.removeprefix("http://")):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
        google.requests.clear()
        with pytest.raises(StorageError):
            google_place().exists()
        assert google.count("HEAD") == 1
        filesystem = clients.arrow_client("gs", ())
        with pytest.raises(OSError, match=r"403|PERMISSION_DENIED"):
            filesystem.get_file_info("bucket/a")
        assert google.count("GET", "/storage/v1/b/bucket/o/a") == 1


def test_credentials_that_pyarrow_does_not_find_are_refused_by_name(
    google: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(key_file(tmp_path)))
    with pytest.raises(ValueError, match=r"CREDENTIALS in place of GOOGLE_SERVICE_ACCOUNT\.$"):
        google_place().to_arrow()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    filesystem, path = google_place().to_arrow()
    assert filesystem.type_name == "gcs"
    assert path.startswith("bucket-")


def test_a_token_that_azure_refuses_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy_before(0) as service:
        service.faults = [Faults("403", 99)]
        for name, value in {
            "AZURE_STORAGE_ACCOUNT_NAME": "account",
            "AZURE_CLIENT_ID": "client",
            "AZURE_CLIENT_SECRET": "expired",
            "AZURE_TENANT_ID": "tenant",
            "AZURE_AUTHORITY_HOST": service.url,
            "AZURE_ALLOW_HTTP": "true",
        }.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(StorageError, match=r"/a: no credentials: [^\n]*403 Forbidden[^\n]*$"):
            resolve_place(f"az://{uuid.uuid4().hex}/a").write_bytes(b"x")
        assert service.count() == 1
