"""Azurite, the emulator of Azure's storage; `npm install azurite` installs it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exvad.data.storage.remote.clients import arrow_client
from tests.helpers.processes import free_port
from tests.helpers.waiting import holds_within


@contextmanager
def azurite(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Run the emulator; yield the URI of an empty container and the variables that find it.

    A test that needs it is skipped where no `azurite-blob` is on the path.

    Args:
        folder: where it writes its log.
    """
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("needs azurite-blob on the path")
    port = free_port()
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    command = [program, "--blobPort", str(port), *options]
    with (folder / "azurite.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            assert holds_within(60, lambda: _answers(port)), "azurite does not start"
            url = f"http://127.0.0.1:{port}"
            variables = {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": url}
            # A process has one client per container, so every server needs one of its own.
            container = f"container-{uuid.uuid4().hex}"
            with pytest.MonkeyPatch.context() as patch:
                for name, value in variables.items():
                    patch.setenv(name, value)
                arrow_client("az", ()).create_dir(container)
            yield f"az://{container}", variables
        finally:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
