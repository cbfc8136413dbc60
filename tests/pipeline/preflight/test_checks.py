"""All checks together, as `exvad check` and at the start of the jobs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exvad.cli.main import main
from exvad.config import load_config
from exvad.pipeline.preflight import checks
from exvad.pipeline.preflight.checks import check_run, require_ready
from exvad.pipeline.preflight.findings import BackgroundChecks, Finding, PreflightError
from tests.helpers.hub import use_cache, use_hub
from tests.helpers.processes import free_port

LIGHT = """
import sys
from exvad.config import load_config
from exvad.pipeline.preflight.checks import require_ready
require_ready(load_config("demo", sys.argv[1:]), "preprocess")
assert not {"torch", "transformers", "open_clip"} & set(sys.modules)
"""


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cached, and nothing listens at the hub's address."""
    use_cache(monkeypatch, tmp_path / "cache")
    use_hub(monkeypatch, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.usefixtures("no_network")
def test_check_names_everything_that_ucf_crime_lacks_within_20_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.monotonic()
    code = main(["check", "--preset", "ucf_crime", f"run={tmp_path}/run"])
    assert time.monotonic() - start < 20
    assert code == 2
    lines = capsys.readouterr().out.splitlines()
    missing = " ".join(line for line in lines if line.startswith("✗"))
    for part in ("clip.model", "captioner.model", "llm.model", "data.root", "data.annotations"):
        assert part in missing
    for part in ("stages.vision", "stages.language", "train.gpu"):
        assert f"✗ {part}" in "\n".join(lines)
    assert any(line.startswith("✓ run:") for line in lines)


def test_check_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", f"run={tmp_path}/run"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert {"clip.model", "llm.model", "data", "store"} <= {f["what"] for f in report["findings"]}
    assert main(["check", "--json", f"run={tmp_path}/run", "data.kind=folder", "data.root=/x"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert [f["what"] for f in report["findings"] if not f["ok"]] == ["data"]


@pytest.mark.usefixtures("no_network")
def test_require_ready_names_every_problem_in_one_sentence(tmp_path: Path) -> None:
    config = load_config("demo", ["llm.model=a/b", "data.root=''", f"run={tmp_path}/run"])
    with pytest.raises(PreflightError, match=r"llm.model: .*; data: .*--no-check") as error:
        require_ready(config, "preprocess")
    assert "\n" not in str(error.value)


def test_a_job_needs_only_what_concerns_it(tmp_path: Path) -> None:
    config = load_config("demo", ["llm.model=/no/model", "data.root=''", f"run={tmp_path}/run"])
    for job in ("train", "evaluate", "sweep", "ablate"):
        require_ready(config, job)
    with pytest.raises(PreflightError, match="/no/model"):
        require_ready(config, "labels")
    named = load_config(
        "demo", ["llm.model=/no/model", "labels.file=package:ucf_crime", f"run={tmp_path}/run"]
    )
    require_ready(named, "labels")


@pytest.mark.parametrize("job", ["preprocess", "labels", "train", "sweep", "ablate", "evaluate"])
def test_jobs_check_first_unless_told_not_to(
    job: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    arguments = [job, f"run={tmp_path}/file/run", "data.kind=manifest", "clip.model=/no/clip"]
    assert main(arguments) == 2
    assert "run: " in capsys.readouterr().err
    monkeypatch.setattr(checks, "check_run", lambda *_: [Finding("x", False, "broken")])
    assert main(arguments) == 2
    assert "x: broken" in capsys.readouterr().err


def test_demo_preset_is_checked_without_heavy_packages(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LIGHT, f"run={tmp_path}/run"], check=True, timeout=60)
    start = time.monotonic()
    check_run(load_config("demo", [f"run={tmp_path}/run"]), "preprocess")
    assert time.monotonic() - start < 2


def test_background_checks_give_up_at_one_common_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exvad.pipeline.preflight.findings.GRACE_SECONDS", 0.1)
    background = BackgroundChecks(seconds=0.2)

    def slow() -> Finding:
        time.sleep(2)
        return Finding("slow", True, "")

    background.start("slow", slow)
    background.start("late", slow, may_be_late=True)
    background.start("quick", lambda: Finding("quick", True, "done"))
    start = time.monotonic()
    findings = background.collect()
    assert time.monotonic() - start < 1
    assert [finding.ok for finding in findings] == [False, True, True]


def test_a_background_check_that_fails_says_why_instead_of_being_late(
    capsys: pytest.CaptureFixture[str],
) -> None:
    background = BackgroundChecks(seconds=20)

    def fail() -> Finding:
        raise ValueError("embedded null byte")

    background.start("run", fail)
    assert background.collect() == [Finding("run", False, "embedded null byte")]
    assert capsys.readouterr().err == ""
