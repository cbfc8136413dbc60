"""A video that has taken over its decoder reaches nothing, with all layers and with each alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from exvad.video.chunks import plan_chunks
from exvad.video.confinement.kernel import set_dumpable
from exvad.video.confinement.layers import Confinement
from exvad.video.container import VideoError
from exvad.video.decoding import decode_chunk
from exvad.video.sandbox import DecodingProcess, SandboxError
from tests.helpers.attacker import EVIL, LAYERS, Targets, attacking
from tests.helpers.targets import open_targets

ALL = tuple(LAYERS)
FILES = {"file:token", "file:auth_token", "file:other.mp4", "listing", "environ", "own-environ"}
WRITES = {"write", "unlink", "write-video"}
PROCESSES = {"mem", "vm", "vm-parent", "ptrace", "ptrace-parent", "program", "requests"}
NETWORK = {"tcp", "udp", "unix", "abstract"}


@pytest.fixture(scope="module")
def targets() -> Iterator[Targets]:
    with open_targets() as targets:
        yield targets


@pytest.fixture(autouse=True)
def restored(targets: Targets) -> Iterator[None]:
    """Undo what an attack without confinement does to the files, and to this process."""
    yield
    set_dumpable(True)
    Path(targets.folder, "written").unlink(missing_ok=True)
    Path(targets.files[0]).write_text("secret")
    Path(targets.files[0]).chmod(0o666)


def attack(targets: Targets) -> tuple[set[str], Confinement]:
    """Return what the video reached, and what was said of the confinement before."""
    with DecodingProcess(seconds=30, command=attacking(targets)) as sandbox:
        confinement = sandbox.confinement()
        with pytest.raises(VideoError) as refused:
            sandbox.plan("evil", Path(targets.folder) / EVIL, 16, 256)
    reached = set(refused.value.reason.split())
    assert reached, "the attack did not run"
    return reached - {"nothing"}, confinement


def descendants(sandbox: DecodingProcess) -> list[psutil.Process]:
    """Return the processes that the child has started and that have not ended."""
    if sandbox._process is None:
        return []
    found = psutil.Process(sandbox._process.pid).children(recursive=True)
    return [child for child in found if child.status() != psutil.STATUS_ZOMBIE]


def require(layers: tuple[str, ...], confinement: Confinement) -> None:
    """Skip the test if the kernel has not the layers."""
    present = {layer.split(" ")[0] for layer in confinement.layers}
    for layer in layers:
        if layer.split(" ")[0] not in present:
            pytest.skip(f"this kernel, or this user, has no {layer}")


def test_a_video_that_took_over_its_decoder_reaches_nothing(targets: Targets) -> None:
    reached, confinement = attack(targets)
    require(("namespaces", "Landlock", "seccomp"), confinement)
    assert reached == set()
    assert confinement.reachable == ()
    assert not Path(targets.folder, "written").exists()
    assert all(Path(path).exists() for path in targets.files)


def test_the_attacks_work_where_nothing_confines_them(targets: Targets) -> None:
    reached, confinement = attack(replace(targets, without=ALL))
    protected = set() if os.geteuid() == 0 else {"environ"}  # at least that
    expected = FILES | NETWORK | {"vm-parent", "signal", "process", "write", "unlink"}
    assert expected - protected <= reached
    assert confinement.layers == ()
    assert {"files", "network"} <= set(confinement.reachable)


@pytest.mark.parametrize(
    ("layer", "prevented"),
    [
        ("seccomp", FILES | WRITES | PROCESSES | NETWORK | {"listen", "signal", "process"}),
        ("Landlock", FILES | WRITES | (PROCESSES - {"ptrace"}) | {"tcp", "abstract", "listen"}),
        ("namespaces", FILES | WRITES | {"mem", "vm", "program", "requests"} | NETWORK),
    ],
)
def test_each_layer_alone_prevents_what_it_is_for(
    targets: Targets, layer: str, prevented: set[str]
) -> None:
    others = tuple(other for other in ALL if other != layer)
    reached, confinement = attack(replace(targets, without=others))
    require((layer,), confinement)
    assert reached & prevented == set()
    assert "files" not in confinement.reachable
    assert ("network" in confinement.reachable) == ("udp" in reached)


def test_decoding_goes_on_after_an_attack(targets: Targets) -> None:
    other = Path(targets.files[2])
    with DecodingProcess(seconds=30, command=attacking(targets)) as sandbox:
        _, chunks = sandbox.plan("other", other, 16, 256)
        for _ in range(2):
            with pytest.raises(VideoError):
                sandbox.plan("evil", other.with_name(EVIL), 16, 256)
            theirs, ours = sandbox.decode(chunks[0]), decode_chunk(plan_chunks("o", other)[1][0])
            np.testing.assert_array_equal(theirs.frames, ours.frames)


def test_a_video_that_takes_memory_or_time_costs_only_itself(targets: Targets) -> None:
    other = Path(targets.files[2])
    goals = (("memory", 60, "GiB of memory|crashed"), ("time", 2, "longer than 2 s"))
    for goal, seconds, message in goals:
        command = attacking(replace(targets, goal=goal))
        began = time.monotonic()
        with DecodingProcess(seconds=seconds, command=command) as sandbox:
            with pytest.raises(VideoError, match=message):
                sandbox.plan("evil", other.with_name(EVIL), 16, 256)
            assert time.monotonic() - began < 60
            deadline = time.monotonic() + 20
            while len(descendants(sandbox)) > 1:
                assert time.monotonic() < deadline, "the process of the attack has not ended"
                time.sleep(0.1)
            sandbox.seconds = 30
            assert sandbox.plan("other", other, 16, 256)[0].num_frames == 40


def test_strict_refuses_to_decode_where_something_is_in_reach(targets: Targets) -> None:
    unconfined = replace(targets, without=ALL)
    with (
        DecodingProcess(command=attacking(unconfined), mode="strict") as sandbox,
        pytest.raises(SandboxError, match=r"can't keep files, network.*reach"),
    ):
        sandbox.plan("other", targets.files[2], 16, 256)
    with DecodingProcess(command=attacking(targets), mode="strict") as sandbox:
        require(("seccomp",), sandbox.confinement())
        assert sandbox.plan("other", targets.files[2], 16, 256)[0].num_frames == 40


def test_half_of_the_namespaces_is_none_of_them(targets: Targets) -> None:
    module = [sys.executable, "-m", "tests.helpers.unconfined_child", str(2**30), "best", "half"]
    with DecodingProcess(command=module) as sandbox:
        confinement = sandbox.confinement()
        assert "namespaces" not in confinement.layers
        require(("seccomp",), confinement)
        assert confinement.reachable == ()
        assert sandbox.plan("other", targets.files[2], 16, 256)[0].num_frames == 40


def test_off_limits_memory_and_time_alone(targets: Targets) -> None:
    with DecodingProcess(mode="off") as sandbox:
        assert sandbox.confinement().layers == ()
        assert sandbox.plan("other", targets.files[2], 16, 256)[0].num_frames == 40


def test_without_any_layer_the_memory_of_this_process_is_protected_at_least(
    targets: Targets, tmp_path: Path
) -> None:
    program = tmp_path / "owner.py"
    program.write_text(
        "import ctypes, json, sys\n"
        "from exvad.video.sandbox import DecodingProcess\n"
        "with DecodingProcess(command=json.loads(sys.argv[1])) as sandbox:\n"
        "    sandbox.confinement()\n"
        "    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    )
    for without, dumpable in ((ALL, "0"), ((), "1")):
        command = json.dumps(attacking(replace(targets, without=without)))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        finished = subprocess.run(
            [sys.executable, program, command],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert finished.stdout.strip() == dumpable
