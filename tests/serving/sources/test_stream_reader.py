"""A live stream that has taken over its decoder reaches nothing, not even the network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.sources.stream_reader import SourceSpec
from exvad.video.frame_buffer import Notice
from exvad.video.sandbox import DecodingProcess
from tests.helpers.attacker import LAYERS, Targets
from tests.helpers.stream_attacker import attacking
from tests.helpers.targets import open_targets

KERNEL_LAYERS = {"namespaces", "Landlock", "seccomp"}


@pytest.fixture(scope="module")
def targets() -> Iterator[Targets]:
    with DecodingProcess() as sandbox:
        present = {layer.split(" ")[0] for layer in sandbox.confinement().layers}
    if not present >= KERNEL_LAYERS:
        pytest.skip(f"this kernel, or this user, has no {KERNEL_LAYERS - present}")
    with open_targets() as targets:
        yield targets


def source(targets: Targets, url: str | None = None) -> SourceSpec:
    return SourceSpec(
        name="door",
        url=url,
        path=None if url else str(Path(targets.folder) / "evil.mp4"),
        stride=10,
        short_side=48,
        networks=["127.0.0.0/8"],
        idle_seconds=0.1,
        max_bytes=4 * 2**30,
        start_time=0.0,
    )


def attack(targets: Targets, spec: SourceSpec, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return what the stream reached."""
    monkeypatch.setattr("exvad.serving.sources.stream_process.COMMAND", attacking(targets))
    (notice,) = StreamProcess(spec).follow(threading.Event())
    assert isinstance(notice, Notice)
    return set(notice.text.split()) - {"nothing"}


@pytest.mark.parametrize("scheme", ["", "http", "rtsp"])
def test_a_stream_that_took_over_its_decoder_reaches_nothing(
    targets: Targets, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = source(targets, f"{scheme}://127.0.0.1:{targets.tcp}/x" if scheme else None)
    assert attack(targets, spec, monkeypatch) == set()
    assert all(Path(path).exists() for path in targets.files)


def test_a_camera_without_namespaces_leaves_only_the_port_of_its_relay(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = source(targets, f"rtsp://127.0.0.1:{targets.tcp}/x")
    targets = replace(targets, without=("namespaces",))
    assert attack(targets, spec, monkeypatch) == set()


def test_the_attacks_work_where_nothing_confines_them(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = attack(replace(targets, without=tuple(LAYERS)), source(targets), monkeypatch)
    assert {"file:token", "file:auth_token", "file:other.mp4", "tcp", "udp", "write"} <= reached


def test_strict_refuses_a_stream_where_something_is_in_reach(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = attacking(replace(targets, without=tuple(LAYERS)))
    monkeypatch.setattr("exvad.serving.sources.stream_process.COMMAND", command)
    spec = replace(source(targets), sandbox="strict")
    (notice,) = StreamProcess(spec).follow(threading.Event())
    assert isinstance(notice, Notice)
    assert "sandbox=strict, but this machine can't keep files" in notice.text
