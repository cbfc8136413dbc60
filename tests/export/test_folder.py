"""An exported folder is all that a program without exvad and torch needs."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from exvad.cli.main import main
from exvad.data.world import Scene, render_video
from exvad.detector.detector import Detector
from exvad.encoders.clip import ClipEncoder
from exvad.encoders.image_preprocessing import Preprocessing
from tests.helpers.checkpoints import save_untrained_checkpoint
from tests.helpers.disks import small_disk
from tests.helpers.exports import save_planted_checkpoint

RUN_WITHOUT = """
import runpy, sys
sys.modules["torch"] = sys.modules["exvad"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_untrained_checkpoint(tmp_path_factory.mktemp("run") / "checkpoint")


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged CLIP and an untrained network, as ONNX, in a folder that was empty before."""
    folder = tmp_path_factory.mktemp("exported")
    assert main(["export", "--checkpoint", str(checkpoint), "--to", str(folder)]) == 0
    return folder


def as_tuples(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with tuples in place of JSON's lists."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}


def run_example(folder: Path, video: Path) -> dict[str, Any]:
    """Run the example program of an export on a video, without torch and exvad."""
    finished = subprocess.run(
        [sys.executable, "-c", RUN_WITHOUT, str(folder / "example.py"), str(video)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return dict(json.loads(finished.stdout))


def assert_example_answers_as_the_detector(checkpoint: Path, folder: Path, video: Path) -> None:
    detector = Detector(checkpoint)
    analysis = detector.analyze(video, explain=False)
    answer = run_example(folder, video)
    np.testing.assert_allclose(answer["times"], analysis.times, atol=1e-3)
    np.testing.assert_allclose(answer["scores"], analysis.scores, atol=2e-2)
    best = np.argmax(analysis.probabilities, axis=1)
    agreeing = np.mean(np.array(answer["classes"]) == np.array(detector.classes)[best])
    assert agreeing >= 0.9
    assert answer["threshold"] == analysis.threshold


def test_example_scores_a_video_as_the_detector_without_torch(
    checkpoint: Path, exported: Path, tmp_path: Path
) -> None:
    video = tmp_path / "robbery.mp4"
    render_video(Scene(4, "Robbery", 28, 30), video)
    assert_example_answers_as_the_detector(checkpoint, exported, video)


def test_description_has_what_a_program_needs(checkpoint: Path, exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {
        "README.md", "example.py", "export.json",
        "clip.onnx", "clip.onnx.data", "head.onnx", "head.onnx.data",
    }  # fmt: skip
    description = json.loads((exported / "export.json").read_text("utf-8"))
    trained = Detector(checkpoint)
    assert description["classes"] == list(trained.classes)
    assert description["decision"] == trained.checkpoint.calibration.model_dump()
    assert description["about"] == trained.config.data.about
    assert "unlike" in description["domain"]
    assert description["snippets"]["frames_per_snippet"] == trained.config.data.stride
    preprocessing = ClipEncoder("package:clip", device="cpu", dtype="float32").preprocess
    assert Preprocessing(**as_tuples(description["preprocessing"])) == preprocessing
    shapes = {
        tensor["name"]: (tensor["dtype"], tensor["shape"])
        for file in description["files"].values()
        for tensor in (*file["inputs"], *file["outputs"])
    }
    assert shapes["pixels"] == ("float32", ["batch", 3, 96, 96])
    assert shapes["lengths"] == ("int64", ["batch"])
    assert shapes["probabilities"] == ("float32", ["batch", "time", len(trained.classes)])
    for file in description["files"].values():
        assert 0 <= file["largest_difference_from_torch"] < 1e-4


def test_description_names_the_inputs_and_outputs_of_the_files(exported: Path) -> None:
    import onnxruntime

    description = json.loads((exported / "export.json").read_text("utf-8"))
    for file in description["files"].values():
        session = onnxruntime.InferenceSession(exported / file["file"])
        for kind, tensors in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
            told = [(tensor["name"], tensor["shape"]) for tensor in file[kind]]
            assert told == [(tensor.name, tensor.shape) for tensor in tensors]


@pytest.mark.parametrize("mode", ["squash", "shortest", "longest"])
def test_example_preprocesses_frames_as_exvad(exported: Path, mode: str) -> None:
    example = runpy.run_path(str(exported / "example.py"))
    example["EXPORT"]["preprocessing"]["resize_mode"] = mode
    settings = example["EXPORT"]["preprocessing"]
    scene = Scene(4, "Robbery", 28, 30)
    frame_HWC: NDArray[np.uint8] = scene.render(40)
    pixels_CHW = example["preprocess"](Image.fromarray(frame_HWC))
    expected_CHW = Preprocessing(**settings)(frame_HWC[None], torch.device("cpu"))[0].numpy()
    assert pixels_CHW.shape == expected_CHW.shape
    assert np.abs(pixels_CHW - expected_CHW).mean() < 0.02


@pytest.mark.slow
def test_openvino_files_answer_in_the_example_too(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "exported"
    words = ["export", "--checkpoint", str(checkpoint), "--to", str(folder)]
    assert main([*words, "--format", "openvino"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    lines = output.out.splitlines()
    assert [line.split(": differs from torch by at most ")[0] for line in lines] == [
        str(folder / "clip.xml"), str(folder / "head.xml")
    ]  # fmt: skip
    assert all(float(line.rsplit(" ", 1)[1]) < 1e-4 for line in lines)
    assert {path.suffix for path in folder.iterdir()} == {".md", ".py", ".json", ".xml", ".bin"}
    video = tmp_path / "robbery.mp4"
    render_video(Scene(4, "Robbery", 28, 30), video)
    assert_example_answers_as_the_detector(checkpoint, folder, video)


def test_export_refuses_what_it_cannot_do_in_one_sentence(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusal(*words: str) -> str:
        assert main(["export", *words]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        (line,) = output.err.splitlines()
        return line

    known, new = ["--checkpoint", str(checkpoint)], ["--to", str(tmp_path / "new")]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for used in ("full", "full/file"):
        assert "is no empty folder" in refusal(*known, "--to", str(tmp_path / used))
    assert "no checkpoint: it does not exist" in refusal("--checkpoint", "/no/such/one", *new)
    assert "no part is named 'text'" in refusal(*known, *new, "--parts", "clip,text")
    planted = tmp_path / "planted"
    save_planted_checkpoint(planted)
    assert "features of width 32, and package:clip gives 128: export the head alone" in refusal(
        "--checkpoint", str(planted), *new
    )
    lost = save_untrained_checkpoint(tmp_path / "lost")
    text = (lost / "config.yaml").read_text().replace("package:clip", "local-dir:/no/such/clip")
    (lost / "config.yaml").write_text(text)
    assert "can't load model" in refusal("--checkpoint", str(lost), *new)
    (tmp_path / "file").touch()
    unwritable = str(tmp_path / "file" / "new")
    assert f"can't be written ({tmp_path / 'file'} is no folder)" in refusal(
        "--checkpoint", str(planted), "--to", unwritable, "--parts", "head"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full", "lost", "planted"]


@pytest.mark.parametrize("file_format", ["onnx", "openvino"])
def test_export_to_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, file_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_planted_checkpoint(tmp_path / "planted")
    # OpenVINO's file has no room where the ONNX file, from which it is made, has.
    size = "64k" if file_format == "onnx" else "448k"
    with small_disk(tmp_path / "disk", size) as disk:
        words = ["--checkpoint", str(tmp_path / "planted"), "--to", str(disk / "new")]
        assert main(["export", *words, "--parts", "head", "--format", file_format]) == 2
        assert list(disk.iterdir()) == []
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith(f"exvad: {disk}/new can't be written: No space left on device; make")


def test_export_without_its_packages_says_what_to_install(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["export", "--checkpoint", str(checkpoint), "--to", str(tmp_path / "new")]) == 2
    assert "run pip install 'exvad[export]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
