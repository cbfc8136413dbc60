"""What a hostile video must not reach: files and servers that nothing but a sandbox protects."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.helpers.attacker import EVIL, Targets
from tests.helpers.videos import write_video


@contextmanager
def open_targets() -> Iterator[Targets]:
    """Plant secrets and videos in a folder that every user may change, and run servers.

    Yields:
        Where they are; `evil.mp4` is in the folder too.
    """
    secret = ctypes.create_string_buffer(b"a secret in the memory of this process")
    folder = Path(tempfile.mkdtemp(prefix="exvad-attacks-"))
    folder.chmod(0o777)
    files = (folder / "token", folder / ".ray" / "auth_token", folder / "other.mp4")
    files[1].parent.mkdir()
    for path in files[:2]:
        path.write_text("secret")
    for path in (files[2], folder / EVIL):
        write_video(path, 40, size=(64, 48))
    for path in files:
        path.chmod(0o666)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix, abstract = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        unix.bind(str(folder / "unix"))
        abstract.bind(f"\0{folder.name}")
        for listener in (server, unix, abstract):
            listener.listen(64)
        (folder / "unix").chmod(0o666)
        yield Targets(
            files=tuple(map(str, files)),
            folder=str(folder),
            pid=os.getpid(),
            address=ctypes.addressof(secret),
            tcp=server.getsockname()[1],
            unix=str(folder / "unix"),
            abstract=folder.name,
        )
