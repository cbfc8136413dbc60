"""The output of Ray is hidden while it starts; the hub's variables reach its processes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
from ray._private.worker import global_worker

from exvad.pipeline.session import hub_runtime_env, ray_output_hidden
from tests.helpers.cluster import RAY, cluster
from tests.helpers.processes import ROOT

__all__ = ["cluster"]
SECRET = "hf_WantedByNobody"
NAMES = ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HOME", "HUGGING_FACE_HUB_TOKEN")
DRIVER = {
    "HF_TOKEN": SECRET,
    "HUGGING_FACE_HUB_TOKEN": SECRET,
    "HF_ENDPOINT": "https://mirror.example",
    "HF_HUB_OFFLINE": "1",
    "HF_HOME": "/home/me/hub",
    "AWS_SECRET_ACCESS_KEY": "other",
}
PRINT_IN_TASK = f"""
import os, ray
from exvad.pipeline.session import ray_session
with ray_session():
    task = ray.remote(lambda: {{name: os.environ.get(name) for name in {NAMES!r}}})
    print("in a task:", sorted(ray.get(task.remote()).items()))
"""


@contextmanager
def session(runtime_env: dict[str, Any]) -> Iterator[None]:
    """Start Ray on this machine, whose processes have no variables of the hub of their own."""
    with ray_output_hidden(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(
            address="local",
            num_cpus=1,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env=runtime_env,
        )
    try:
        yield
    finally:
        ray.shutdown()


def seen_by_a_task() -> dict[str, str]:
    """Return the variables of the hub in a task of Ray."""

    def read() -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name.startswith("H")}

    seen: dict[str, str] = ray.get(ray.remote(read).remote())
    return {name: seen[name] for name in NAMES if name in seen}


def lines_with(text: str, folder: Path) -> list[Path]:
    """Return the files of a folder that contain a text."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if text.encode() in path.read_bytes()]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_variables_reach_tasks_and_tokens_reach_no_log() -> None:
    with session(hub_runtime_env(DRIVER)):
        assert seen_by_a_task() == {
            "HF_TOKEN": SECRET,
            "HUGGING_FACE_HUB_TOKEN": SECRET,
            "HF_ENDPOINT": "https://mirror.example",
            "HF_HUB_OFFLINE": "1",
        }
        logs = Path(global_worker.node.get_session_dir_path()) / "logs"
        time.sleep(0.5)  # Ray's own processes write these logs
        assert lines_with("https://mirror.example", logs), "where the other variables are written"
        assert not lines_with(SECRET, logs)


def test_nothing_is_passed_on_without_variables() -> None:
    assert hub_runtime_env({"HOME": "/home/me", "HF_HOME": "/home/me/hub"}) == {}


def test_what_the_job_defines_is_left_to_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    of_job = {"env_vars": {"HF_TOKEN": "of-the-job", "HF_ENDPOINT": "https://job.example"}}
    job = {"runtime_env": of_job, "metadata": {}}
    monkeypatch.setenv(RAY_JOB_CONFIG_JSON_ENV_VAR, json.dumps(job))
    driver = {**DRIVER, **of_job["env_vars"], RAY_JOB_CONFIG_JSON_ENV_VAR: json.dumps(job)}
    with session(hub_runtime_env(driver)):
        assert seen_by_a_task() == {
            "HF_TOKEN": "of-the-job",
            "HUGGING_FACE_HUB_TOKEN": SECRET,
            "HF_ENDPOINT": "https://job.example",
            "HF_HUB_OFFLINE": "1",
        }


def test_the_function_of_a_job_is_kept() -> None:
    job = {"runtime_env": {"worker_process_setup_hook": "package.set_up"}, "metadata": {}}
    runtime_env = hub_runtime_env({**DRIVER, RAY_JOB_CONFIG_JSON_ENV_VAR: json.dumps(job)})
    assert runtime_env == {
        "env_vars": {"HF_ENDPOINT": "https://mirror.example", "HF_HUB_OFFLINE": "1"}
    }


@pytest.mark.slow
def test_a_submitted_job_and_a_driver_pass_on_their_variables(cluster: dict[str, str]) -> None:
    of_job = {"HF_TOKEN": "of-the-job", "PYTHONPATH": str(ROOT)}
    submitted = subprocess.run(
        [
            RAY, "job", "submit", "--runtime-env-json", json.dumps({"env_vars": of_job}),
            "--", sys.executable, "-c", "exec('''" + PRINT_IN_TASK + "''')",
        ],
        env=cluster, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert submitted.returncode == 0, submitted.stdout[-2000:] + submitted.stderr[-2000:]
    assert "('HF_TOKEN', 'of-the-job')" in submitted.stdout
    driver = subprocess.run(
        [sys.executable, "-c", PRINT_IN_TASK],
        env={**cluster, **DRIVER, "RAY_ADDRESS": cluster["CLUSTER"], "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert driver.returncode == 0, driver.stderr[-2000:]
    assert f"('HF_TOKEN', '{SECRET}')" in driver.stdout
    assert "('HF_HOME', None)" in driver.stdout
    assert not lines_with(SECRET, Path(cluster["RAY_TMPDIR"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "reason"),
    [("", "set RAY_AUTH_MODE=token"), ("token", "that of this machine is missing or another one")],
)
def test_cluster_that_asks_for_a_token_is_named(
    cluster: dict[str, str], tmp_path: Path, mode: str, reason: str
) -> None:
    (tmp_path / "token").write_text("0123456789abcdef" * 4)
    variables = {**cluster, "RAY_AUTH_TOKEN_PATH": f"{tmp_path}/token", "RAY_AUTH_MODE": mode}
    variables |= {"RAY_ADDRESS": cluster["CLUSTER"], "PYTHONPATH": str(ROOT)}
    if not mode:
        del variables["RAY_AUTH_MODE"]
    driver = subprocess.run(
        [sys.executable, "-c", PRINT_IN_TASK],
        env=variables, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    last = driver.stderr.splitlines()[-1]
    assert f"ClusterRefusedError: the cluster at RAY_ADDRESS={cluster['CLUSTER']} asks for" in last
    assert reason in last


def test_output_is_hidden_inside_the_block_and_restored_after_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with ray_output_hidden():
        os.write(1, b"hidden")
        os.write(2, b"hidden")
    os.write(1, b"shown")
    os.write(2, b"shown")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("shown", "shown")


def test_output_is_restored_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="failed"), ray_output_hidden():
        raise ValueError("failed")
    os.write(1, b"shown")
    assert capfd.readouterr().out == "shown"


def test_termination_ends_a_job_as_ctrl_c_does_and_workers_have_the_niceness_asked_for() -> None:
    code = (
        "import os, time, ray; from exvad.pipeline.session import ray_session\n"
        "with ray_session(niceness=3):\n"
        "    print(ray.get(ray.remote(lambda: os.nice(0)).remote()), flush=True)\n"
        "    time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "3\n"
        process.terminate()
        _, messages = process.communicate(timeout=60)
    assert "TerminatedError" in messages
    assert "SIGTERM received" not in messages
