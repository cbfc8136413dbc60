"""A fake of the Hugging Face hub on this machine, and its cache in a folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

REVISION = "0" * 40


@contextmanager
def fake_hub(monkeypatch: pytest.MonkeyPatch, repositories: dict[str, object]) -> Iterator[str]:
    """Run a hub until the block ends, and make it that of this process.

    Args:
        monkeypatch: pytest's fixture.
        repositories: name → size of its `model.safetensors` in bytes, or the name of the hub's
            error, such as `GatedRepo`. Of other names the hub knows nothing.

    Yields:
        The address of the hub.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            name, _, _ = self.path.lstrip("/").partition("/resolve/")
            self.reply(name, b"")

        def do_GET(self) -> None:
            name = self.path.removeprefix("/api/models/").partition("?")[0]
            files = [
                {"rfilename": "config.json", "size": 9},
                {"rfilename": "model.safetensors", "size": repositories.get(name)},
            ]
            self.reply(name, json.dumps({"id": name, "siblings": files}).encode())

        def reply(self, name: str, content: bytes) -> None:
            error = repositories.get(name, "RepoNotFound")
            refused = isinstance(error, str)
            self.send_response(401 if refused else 200)
            if refused:
                self.send_header("X-Error-Code", str(error))
            self.send_header("ETag", '"abc"')
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    use_hub(monkeypatch, url)
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()


def use_hub(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Make an address that of the hub in this process."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def use_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make a folder the cache of the hub in this process."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))


def cache_repository(folder: Path, name: str) -> Path:
    """Make a repository without files in a cache; return the folder for its files."""
    repository = folder / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text(REVISION)
    snapshot = repository / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    return snapshot
