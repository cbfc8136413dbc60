"""A labelling session: reviews by HTTP are in the manifest, which every job reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from exvad.checkpoints.zero_shot import read_zero_shot
from exvad.cli.main import main
from exvad.config import load_config
from exvad.data.dataset import load_manifest
from exvad.data.manifest_files import read_manifest
from exvad.data.records import TimedEvent
from exvad.serving.labelling.session import DETECTION, STATE_SUFFIX, open_session
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.reviews import read_reviews, store_review
from exvad.serving.schemas.reviews import Review
from exvad.serving.settings import ServerSettings
from tests.helpers.disks import fill, small_disk
from tests.helpers.labelling import analyze_all, event, labelling
from tests.helpers.scene_memory import write_fire_memory
from tests.helpers.videos import write_video

NAMES = ("cam1/a.mp4", "cam1/b.mp4", "cam2/a.mp4", "cam2/c.mp4")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 4.8 seconds."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", 48, fps=10, size=(64, 48))


@pytest.fixture
def videos(tmp_path: Path, clip: Path) -> Path:
    """A folder of four videos."""
    folder = tmp_path / "videos"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, folder / name)
    return folder


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


@pytest.fixture
def served(videos: Path, manifest: Path) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """A client of a session of four videos, and the ids of their analyses."""
    with labelling(videos, manifest) as served:
        yield served


def review(client: TestClient, analysis_id: str, *events: dict[str, object]) -> dict[str, object]:
    """Review a video; return the status of its analysis."""
    response = client.put(f"/v1/analyses/{analysis_id}/review", json={"events": events})
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_reviews_are_read_back_by_the_jobs_with_equal_events_classes_and_times(
    served: tuple[TestClient, dict[str, str]], videos: Path, manifest: Path
) -> None:
    client, ids = served
    assert not manifest.exists()
    corrected = event(1.234567, 3.2, "Road accident")
    missed = event(0, 1 / 3, "Arson", "added")
    review(client, ids["cam1/a.mp4"], corrected, missed)
    review(client, ids["cam1/b.mp4"], event(1.6, 3.2, "Arson", "rejected"))
    review(client, ids["cam2/a.mp4"], event(1.6, 3.2, "Arson"), event(0, 1, "Arson", "open"))
    assert client.get("/v1/reviews").json()["text"] == (
        "labels.csv: 2 videos (1 abnormal, 1 normal), 2 events; left out: 1 that nobody has looked "
        "at, 1 with open events"
    )

    overrides = ["data.kind=manifest", f"data.manifest={manifest}", "data.validation=0"]
    read = load_manifest(load_config("demo", overrides))
    assert read.classes == ("Normal", "Arson", "Road accident")
    assert read.notes == ()
    abnormal, normal = read.videos
    assert abnormal.path == str(videos / "cam1" / "a.mp4")
    assert abnormal.labels == ("Arson", "Road accident")
    assert abnormal.timed_events == (
        TimedEvent(0, 0.333333, "Arson"),
        TimedEvent(1.234567, 3.2, "Road accident"),
    )
    assert (abnormal.num_frames, abnormal.fps) == (48, 10)
    assert normal.video_id == "videos/cam1/b"
    assert normal.labels == ("Normal",)
    assert normal.timed_events == ()


def test_a_later_review_replaces_the_earlier_one_and_can_be_taken_back(
    served: tuple[TestClient, dict[str, str]], manifest: Path
) -> None:
    client, ids = served
    name = "cam1/a.mp4"
    assert review(client, ids[name], event(1, 2, "Arson"))["triage"] == "reviewed"
    assert review(client, ids[name], event(1, 2, "Arson", "rejected"))["triage"] == "false alarm"
    # No event is left: the classes are those of the detector.
    assert read_manifest(manifest).classes == ("Normal", "Arson", "RoadAccidents")
    assert review(client, ids[name], event(1, 2, "Arson", "open"))["triage"] == "open"
    assert not manifest.exists()
    review(client, ids[name], event(1, 2, "Arson"))
    review(client, ids["cam2/c.mp4"], event(1, 2, "Fall"))
    assert client.delete(f"/v1/analyses/{ids[name]}").status_code == 204
    assert [video.labels for video in read_manifest(manifest).videos] == [("Fall",)]
    taken_back = client.delete(f"/v1/analyses/{ids['cam2/c.mp4']}/review").json()
    assert (taken_back["review"], taken_back["triage"]) == (None, "open")
    assert not manifest.exists()


def test_a_session_continues_with_its_reviews_and_with_new_videos(
    served: tuple[TestClient, dict[str, str]], videos: Path, manifest: Path
) -> None:
    client, ids = served
    review(client, ids["cam1/a.mp4"], event(1, 2, "Arson"))
    first = client.get("/v1/reviews").json()["next"]
    assert first == ids["cam1/b.mp4"]
    shutil.copy(videos / "cam1" / "a.mp4", videos / "new.mp4")
    session = open_session([str(videos)], manifest, ServerSettings())
    assert (session.queued.added, session.queued.known) == (1, 4)
    analyze_all(session)
    summary = session.manifest.summary()
    assert (summary.abnormal, summary.waiting, summary.failed) == (1, 4, 0)
    assert open_session([], manifest, ServerSettings()).queued.added == 0


def test_scenes_of_the_command_line_are_kept_in_the_session(
    videos: Path,
    manifest: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = manifest.parent
    (folder / "gate.yaml").write_text("zero_shot: {normal: [people jog here], threshold: 0.6}\n")
    write_fire_memory(folder / "memory.json")
    monkeypatch.chdir(folder)
    label = ["label", str(videos), "--manifest", str(manifest), "--export"]
    scenes = ["--normal", "a fair", "--look-for", "Climbing=a person climbs"]
    files = ["--checkpoint", "gate.yaml", "--memory", "memory.json"]
    assert main([*label, *files, *scenes, "--set", "zero_shot.top_k=5"]) == 0
    config = read_zero_shot(manifest.with_suffix(STATE_SUFFIX) / DETECTION)
    assert config is not None
    settings = config.zero_shot
    assert settings.normal == ["people jog here", "a fair"]
    assert (settings.look_for, settings.top_k) == ({"Climbing": ["a person climbs"]}, 5)
    assert (settings.threshold, settings.memory) == (0.6, str(folder / "memory.json"))
    capsys.readouterr()
    assert main([*label, "--memory", "absent.json"]) == 2
    assert "no memory absent.json" in capsys.readouterr().err
    assert main([*label, "--checkpoint", "a/folder", "--normal", "a fair"]) == 2
    assert "--checkpoint a/folder names a trained detector" in capsys.readouterr().err


def test_export_writes_the_manifest_of_a_session_without_a_server(
    served: tuple[TestClient, dict[str, str]],
    manifest: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client, ids = served
    review(client, ids["cam1/a.mp4"], event(1, 2, "Arson"))
    written = manifest.read_text()
    manifest.unlink()
    assert main(["label", "--manifest", str(manifest), "--export"]) == 0
    assert manifest.read_text() == written
    output = capsys.readouterr().out
    assert "labels.csv: 1 video (1 abnormal, 0 normal), 1 event; " in output
    assert "one to test: Arson has 1, normal has 0." in output
    assert f"check --preset my.yaml data.kind=manifest data.manifest={manifest} " in output


def test_a_session_on_a_full_disk_is_refused_in_one_sentence_and_goes_on_later(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", "16m") as disk:
        filler = fill(disk)
        arguments = ["label", str(videos), "--manifest", str(disk / "labels.csv"), "--export"]
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (message,) = captured.err.splitlines()
        assert message == (
            f"exvad: {disk}/labels.exvad/queue.sqlite can't be written (No space left on device): "
            "make room or rights there, and run the same command again"
        )
        filler.unlink()
        assert main(arguments) == 0
        assert "new videos: 4" in capsys.readouterr().out


def test_a_manifest_is_that_of_its_session_wherever_a_full_disk_interrupts_the_writing(
    videos: Path, manifest: Path, tmp_path: Path
) -> None:
    reviewed = Review.model_validate({"events": [event(1, 2, "Arson")]})
    with small_disk(tmp_path / "labels.exvad", "16m") as spool:
        session = open_session([str(videos)], manifest, ServerSettings())
        assert session.settings.spool == spool
        analyze_all(session)
        queue = AnalysisQueue(session.settings.database_path)
        first, second, *_ = (video.analysis_id for video in read_reviews(queue))
        store_review(queue, first, reviewed)
        session.manifest.write()
        written = manifest.read_text()
        store_review(queue, second, reviewed)
        filler = fill(spool)
        with pytest.raises(OSError, match="No space left"):
            session.manifest.write()
        assert manifest.read_text() == written
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["labels.csv"]
        filler.unlink()
        open_session([], manifest, ServerSettings())
    assert len(read_manifest(manifest).videos) == 2


def test_a_manifest_that_others_wrote_is_not_overwritten(
    served: tuple[TestClient, dict[str, str]], videos: Path, manifest: Path, tmp_path: Path
) -> None:
    client, ids = served
    review(client, ids["cam1/a.mp4"], event(1, 2, "Arson"))
    manifest.write_text(manifest.read_text().replace("train", "test"))
    with pytest.raises(ValueError, match="was changed after it was written from reviews"):
        open_session([str(videos)], manifest, ServerSettings())
    other = tmp_path / "other.csv"
    other.write_text("mine")
    for name, problem in (
        (other, "was not written from reviews"),
        (tmp_path / "labels.txt", "must end in"),
        (tmp_path / "absent" / "labels.csv", "does not exist or can't be written to"),
    ):
        with pytest.raises(ValueError, match=problem):
            open_session([str(videos)], name, ServerSettings())
    with pytest.raises(ValueError, match="there is no video to label"):
        open_session([], tmp_path / "none.csv", ServerSettings())
    assert other.read_text() == "mine"
    assert {path.name for path in tmp_path.glob("*.exvad")} == {"labels.exvad"}
