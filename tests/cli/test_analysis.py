"""`exvad analyze`: what it takes, how it names videos, and what it refuses before the work."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from exvad.cli.analysis import print_analysis
from exvad.cli.main import main
from exvad.detector.detector import Detector
from exvad.results import Analysis, DomainCheck
from tests.helpers.disks import small_disk
from tests.helpers.fake_detector import make_analysis
from tests.helpers.scene_memory import write_fire_memory
from tests.helpers.videos import write_video


@pytest.fixture
def footage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a memory, two videos of one name, and a broken one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_fire_memory(tmp_path / "memory.json")
    for folder in ("cam1", "cam2"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "0001.mp4", 8, size=(64, 48))
    (tmp_path / "cam2/[broken] [bold].mp4").write_text("no video")
    return tmp_path


def analyze(*arguments: str) -> int:
    """Analyze without a checkpoint, by a memory of two scenes."""
    settings = ["--memory", "memory.json", "--set", "clip.model=package:clip"]
    return main(["analyze", *arguments, *settings])


def test_videos_keep_the_names_they_were_given_by(
    footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert analyze("cam1/0001.mp4", "cam2", "no*", "--json", "--html", "new/page.html") == 1
    captured = capsys.readouterr()
    records = {record["video"]: record for record in map(json.loads, captured.out.splitlines())}
    broken = "cam2/[broken] [bold].mp4"
    assert set(records) == {"cam1/0001.mp4", "cam2/0001.mp4", broken, "no*"}
    assert records["no*"]["error"] == "no*: nothing matches this pattern"
    assert "can't be read as a video" in records[broken]["error"]
    assert broken in captured.err
    page = (footage / "new/page.html").read_text()
    assert all(name in page for name in records)


def test_text_keeps_brackets_and_does_not_fold_names(
    footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = Path("[a] folder of a camera/with a name/that is longer/than a terminal is wide/x.mp4")
    (footage / deep).parent.mkdir(parents=True)
    (footage / "cam1/0001.mp4").rename(footage / deep)
    assert analyze(str(deep)) == 0
    assert f"{deep}  0:00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("videos", "reason"),
    [
        (["missing.mp4"], "missing.mp4: there is no such file"),
        ([""], "VIDEO: there is no such file"),
        (["no*", "empty", "gone.mp4"], "no*: nothing matches this pattern, empty: the folder has"),
    ],
)
def test_videos_that_are_not_there_are_refused_before_a_model_is_loaded(
    footage: Path, videos: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (footage / "empty").mkdir()
    # A model that does not exist: the videos are looked at first.
    assert main(["analyze", *videos, "--json", "--set", "clip.model=local-dir:/no/such"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"exvad: {reason}")
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_uris_that_lead_to_no_video_are_no_work_that_failed(
    footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = ["https://camera.example/a.mp4", (footage / "gone.mp4").as_uri()]
    assert analyze(*gone, "no*", "--json") == 2
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(records) == 3
    assert analyze(*gone, "cam2/[broken] [bold].mp4") == 1


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("cam1", "is a folder; name a file"),
        ("memory.json/page.html", "is no folder"),
        ("", "is a folder; name a file"),
        ("/dev/null", "is no regular file"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    footage: Path, page: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert footage.is_dir()
    assert analyze("missing.mp4", "--html", page) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("exvad: --html ")
    assert reason in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_report_on_a_full_disk_is_one_sentence_and_no_half_page(
    footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(footage / "disk", "8k") as disk:
        assert analyze("cam1/0001.mp4", "--html", str(disk / "page.html")) == 2
        assert list(disk.iterdir()) == []
    *_, message = capsys.readouterr().err.splitlines()
    assert message == (
        f"exvad: {disk}/page.html: No space left on device; make room there and run the same "
        "command again"
    )


@pytest.mark.parametrize(
    ("score", "threshold", "shown"),
    [
        (0.31, 0.5, "highest score 0.31, threshold 0.50"),
        (0.99951, 0.99988, "highest score 0.9995, threshold 0.9999"),
        (0.5, 0.5, "highest score 0.50, threshold 0.50"),
    ],
)
def test_text_shows_as_many_digits_as_tell_score_and_threshold_apart(
    score: float, threshold: float, shown: str
) -> None:
    output = io.StringIO()
    changes = {"events": [], "scores": [0.1, score], "threshold": threshold}
    print_analysis(
        Console(file=output, width=200), make_analysis("a.mp4").model_copy(update=changes)
    )
    assert f"nothing abnormal found  {shown}\n" in output.getvalue()


def test_text_says_first_that_a_video_is_outside_the_domain() -> None:
    def lines(state: str) -> list[str]:
        check = DomainCheck.model_validate({"state": state, "text": f"It is {state} [x]."})
        output = io.StringIO()
        analysis = make_analysis("a.mp4").model_copy(update={"domain": check})
        print_analysis(Console(file=output), analysis)
        return [line.strip() for line in output.getvalue().splitlines()]

    assert lines("outside")[1] == "It is outside [x]."
    assert lines("unknown")[1] == "It is unknown [x]."
    assert not any("It is" in line for line in lines("inside"))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("size 0 of a tensor\nat line 3"), "RuntimeError: size 0 of a tensor"),
        (RuntimeError("CUDA out of memory"), "the memory is too small (CUDA out of memory)"),
        (MemoryError(), "the memory is too small"),
    ],
)
def test_an_unexpected_error_of_one_video_ends_only_that_video(
    footage: Path,
    error: Exception,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert footage.is_dir()
    analyze_video = Detector.analyze

    def fail_one(detector: Detector, path: str) -> Analysis:
        if path == "cam1/0001.mp4":
            raise error
        return analyze_video(detector, path)

    monkeypatch.setattr(Detector, "analyze", fail_one)
    assert analyze("cam1/0001.mp4", "cam2/0001.mp4", "--json") == 1
    captured = capsys.readouterr()
    failure, answer = map(json.loads, captured.out.splitlines())
    assert failure["video"] == "cam1/0001.mp4"
    assert failure["error"].startswith(f"cam1/0001.mp4: can't be analyzed: {reason}")
    assert "\n" not in failure["error"]
    assert answer["video"] == "cam2/0001.mp4"
    assert answer["scores"]
