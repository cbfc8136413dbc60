"""Google's testbench of its storage.

It is no package: `pip install git+https://github.com/googleapis/storage-testbench`, in an
environment of its own, since it pins the versions of what it needs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.google_xml import ask, xml_api
from tests.helpers.object_store import Proxy, proxy_before
from tests.helpers.processes import free_port, stop
from tests.helpers.waiting import holds_within


@dataclass(frozen=True)
class GoogleStorage:
    """A bucket of the testbench, behind a proxy.

    Args:
        url: the URI of the bucket.
        proxy: the proxy.
        variables: what finds it, in the environment.
    """

    url: str
    proxy: Proxy
    variables: dict[str, str]


@contextmanager
def google_storage(folder: Path) -> Iterator[GoogleStorage]:
    """Run the testbench with an empty bucket.

    A test that needs it is skipped where no `storage-testbench` is on the path.

    Args:
        folder: where it writes its log.
    """
    program = shutil.which("storage-testbench")
    if program is None:
        pytest.skip("needs storage-testbench on the path")
    port = free_port()
    with (folder / "testbench.log").open("wb") as log:
        # It starts anew, and empty, when a module changes that it could import.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        process = subprocess.Popen(
            [program, "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            assert holds_within(90, lambda: _answers(port)), "the testbench does not start"
            # A process has one client per bucket, so every server needs one of its own.
            bucket = f"bucket-{uuid.uuid4().hex}"
            created = ask(
                port,
                "POST",
                "/storage/v1/b?project=tests",
                json.dumps({"name": bucket}).encode(),
                {"Content-Type": "application/json"},
            )
            assert created.status == 200, created.body
            with xml_api(port) as xml_port, proxy_before(xml_port) as proxy:
                yield GoogleStorage(f"gs://{bucket}", proxy, {"STORAGE_EMULATOR_HOST": proxy.url})
        finally:
            stop(process, gently=False)


def _answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/").body == b"OK"
    except OSError:
        return False
