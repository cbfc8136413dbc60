"""Paths and URIs are resolved to a place, and places behave alike wherever they are."""

from __future__ import annotations

import pickle
import re
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from exvad.data.storage.places import Place, resolve_place
from tests.helpers.azurite import azurite
from tests.helpers.google_storage import GoogleStorage, google_storage
from tests.helpers.object_store import ObjectStore, object_store


@pytest.fixture(scope="module")
def bucket() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    with azurite(tmp_path_factory.mktemp("azurite")) as found:
        yield found


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleStorage]:
    with google_storage(tmp_path_factory.mktemp("testbench")) as found:
        yield found


@pytest.fixture(params=["local", "file", "s3", "gs", "az", "memory"])
def folder(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    bucket: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    """An empty folder in each kind of storage."""
    kind: str = request.param
    name = uuid.uuid4().hex
    if kind == "az":
        container, variables = request.getfixturevalue("container")
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        return resolve_place(f"{container}/{name}")
    if kind == "gs":
        google: GoogleStorage = request.getfixturevalue("google")
        for variable, value in google.variables.items():
            monkeypatch.setenv(variable, value)
        return resolve_place(f"{google.url}/{name}")
    uris = {"local": str(tmp_path), "file": f"file://{tmp_path}", "s3": bucket.url(name)}
    return resolve_place(uris.get(kind, f"memory://{name}"))


def test_a_file_is_written_listed_read_and_deleted(folder: Place) -> None:
    place = folder / "a" / "τ.txt"
    assert not place.exists()
    assert (folder / "a").list_files() == []
    with pytest.raises(FileNotFoundError):
        place.read_bytes()
    place.write_text("first")
    place.write_bytes(memoryview(b"second"))
    (folder / "b.bin").write_bytes(b"")
    assert place.exists()
    assert place.read_text() == "second"
    assert (folder / "b.bin").read_bytes() == b""
    assert folder.list_files() == ["b.bin"]
    assert folder.list_files(recursive=True) == ["a/τ.txt", "b.bin"]
    with place.open_sequential() as file:
        assert (file.read(3), file.read()) == (b"sec", b"ond")
    with (folder / "a" / "τ.txt").open_random() as file:
        file.seek(3)
        assert file.read() == b"ond"
    place.delete()
    place.delete()
    (folder / "a").delete_files(["τ.txt", "none"])
    assert folder.list_files(recursive=True) == ["b.bin"]


def test_a_damaged_json_file_is_named(folder: Place) -> None:
    place = folder / "a.json"
    place.write_json({"a": 1})
    assert place.read_json() == {"a": 1}
    for content in (b"", b"{", b"\xff"):
        place.write_bytes(content)
        with pytest.raises(ValueError, match=rf"^{re.escape(str(place))} is damaged: "):
            place.read_json()


def test_folders_are_listed_and_deleted(folder: Place) -> None:
    assert folder.list_folders() == []
    for name in ("b/1/x", "b/2", "a/1", "c"):
        (folder / name).write_json({"name": name})
    assert folder.list_folders() == ["a", "b"]
    (folder / "b").delete_folder()
    (folder / "none").delete_folder()
    assert folder.list_files(recursive=True) == ["a/1", "c"]
    assert (folder / "c").read_text() == '{\n  "name": "c"\n}\n'


def test_a_library_may_use_the_place_by_pyarrow(folder: Place) -> None:
    filesystem, path = (folder / "state").to_arrow()
    filesystem = pickle.loads(pickle.dumps(filesystem))
    filesystem.create_dir(path)
    with filesystem.open_output_stream(f"{path}/x.bin") as file:
        file.write(b"content")
    assert (folder / "state" / "x.bin").read_bytes() == b"content"
    (folder / "state" / "y").write_text("y")
    with filesystem.open_input_file(f"{path}/y") as file:
        assert file.read() == b"y"
    assert (folder / "state").list_files() == ["x.bin", "y"]
    filesystem.delete_dir(path)
    assert (folder / "state").list_files() == []


def test_a_file_is_created_once(folder: Place) -> None:
    place = folder / "new" / "claim"
    assert place.create_bytes(b"first")
    assert not place.create_bytes(b"second")
    assert place.read_bytes() == b"first"
    assert (folder / "new").list_files() == ["claim"]


def test_of_many_writers_one_creates_a_file(folder: Place) -> None:
    if str(folder).startswith("memory:"):
        pytest.skip("fsspec has no conditional write")
    barrier, won = threading.Barrier(8), []

    def claim(index: int) -> None:
        barrier.wait()
        if (folder / "claim").create_bytes(f"{index}".encode()):
            won.append(index)

    threads = [threading.Thread(target=claim, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert (folder / "claim").read_text() == f"{won[0]}"


def test_a_place_can_be_pickled(folder: Place) -> None:
    (folder / "a").write_bytes(b"x")
    again = pickle.loads(pickle.dumps(folder / "a"))
    assert again == folder / "a"
    assert again.read_bytes() == b"x"


def test_a_local_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = resolve_place("a #1.mp4")
    assert place.is_local
    assert place.path == str(place) == str(tmp_path / "a #1.mp4")
    assert resolve_place(Path("b")).path == str(tmp_path / "b")


@pytest.mark.parametrize("name", ["a.mp4", "a #1.mp4", "日本.mp4", "Heat: part 1.mp4"])
def test_a_file_uri_keeps_any_name(tmp_path: Path, name: str) -> None:
    for uri in (f"file://{tmp_path}/{name}", (tmp_path / name).as_uri()):
        place = resolve_place(uri)
        assert place.is_local
        assert place.path == f"{tmp_path}/{name}"


@pytest.mark.parametrize("name", ["v=x__#1_label_G-0 日本.mp4", "50%?~*[x].mp4", "a?b=c.mp4"])
def test_a_name_in_a_bucket_is_taken_as_it_is(bucket: ObjectStore, name: str) -> None:
    resolve_place(bucket.url(f"names/{name}")).write_bytes(b"x")
    assert f"names/{name}" in bucket.names("names")
    assert resolve_place(bucket.put(f"others/{name}", b"y")).read_bytes() == b"y"


def test_a_uri_of_s3_may_name_endpoint_and_keys(
    bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    host = bucket.proxy.url.removeprefix("http://")
    uri = (
        f"s3://someone:s%2Fecret@{bucket.bucket}/keys/a?region=us-east-1&scheme=http"
        f"&endpoint_override={host}"
    )
    place = resolve_place(uri)
    place.write_bytes(b"x")
    assert bucket.proxy.keys[-1] == "someone"
    assert str(place) == f"s3://{bucket.bucket}/keys/a"
    for text in (str(place), repr(place)):
        assert "ecret" not in text


def test_fsspec_opens_other_schemes() -> None:
    assert str(resolve_place("memory://folder/a.mp4")) == "memory://folder/a.mp4"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("nosuch://x", r"'nosuch://x': .*Use a local path, or a URI"),
        ("s3:/bucket/x", "write s3://bucket/x"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("gs://bucket/a/../b", "no empty part"),
        ("s3://bucket/a//b", "no empty part"),
        ("s3://bad bucket/x", "'bad bucket' is no name of a bucket"),
        ("gs://b%C3%BCcket/x", "is no name of a bucket"),
        ("az://one<two/x", "'one<two' is no name of a container"),
        ("file://host/x", "no absolute path"),
        ("az://container/x", "can't be opened"),
    ],
)
def test_what_cannot_be_resolved_is_refused_in_one_sentence(
    location: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ValueError, match=reason) as caught:
        resolve_place(location).write_bytes(b"x")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ValueError, match="adlfs"):
        resolve_place("abfs://container/x")
