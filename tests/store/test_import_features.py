"""Imported features are stored unchanged, or the file and its problem are named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exvad.config import load_config
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import write_manifest
from exvad.data.records import Event, Video
from exvad.store.examples import make_example
from exvad.store.feature_bank import FeatureBank
from exvad.store.import_features import ImportFeaturesError, import_text, import_visual
from exvad.store.shards.feature_shard import FeatureShard, ShardMemory
from exvad.store.store import Store
from exvad.training.data import worker_data
from exvad.training.videos import TrainingVideos
from tests.helpers.planted import CLASSES, WIDTH, directions

ROOT = Path(__file__).resolve().parents[2]
SNIPPETS = 20


def small_manifest() -> Manifest:
    """Return a data set whose names look like crops."""
    names = ("Fighting/f1", "Fighting/f2", "normal__1", "normal2")
    labels = ("Fighting", "Fighting", "Normal", "Normal")
    return Manifest(
        ("Normal", "Fighting"),
        tuple(
            Video(name, f"{name}.mp4", "train", (label,))
            for name, label in zip(names, labels, strict=True)
        ),
    )


def write(folder: Path, name: str, shape: tuple[int, ...] = (5, 8), value: float = 1) -> Path:
    path = folder / f"{name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full(shape, value, np.float32))
    return path


def test_import_visual_finds_crops_at_any_depth_and_names_that_look_like_crops(
    tmp_path: Path,
) -> None:
    for crop in range(5):
        for name in ("x/f1", "x/f2", "normal__1", "normal2"):
            write(tmp_path / "in", f"{name}__{crop}", value=crop + 1)
    store = Store(tmp_path / "store")
    done = import_visual(tmp_path / "in", small_manifest(), store, 16)
    assert (done.videos, done.crops, done.width, done.missing) == (4, 5, 8, ())
    bank = FeatureBank.build(store, ["Fighting/f1", "normal__1"], crop=3)
    assert (bank["normal__1"].visual == 4).all()
    assert len(bank["Fighting/f1"].visual) == 5
    again = import_visual(tmp_path / "in", small_manifest(), store, 16)
    assert again == done
    assert len(store.read_stage("vision").keys()) == 20


def test_training_uses_every_imported_crop_and_validation_the_test_crop(tmp_path: Path) -> None:
    manifest = Manifest(
        CLASSES[:2], tuple(Video(f"v{n}", "x.mp4", "train", (CLASSES[n % 2],)) for n in range(8))
    ).with_validation(0.5, 0)
    for number in range(8):
        for crop in range(5):
            write(tmp_path / "in", f"v{number}__{crop}", value=crop + 1)
    store = Store(tmp_path / "store")
    import_visual(tmp_path / "in", manifest, store, 16)
    config = load_config("demo", ["model.text=none", "data.crops=5", "data.test_crop=2"])
    data = worker_data(store, TrainingVideos.find(manifest, store, config), config)
    values = [example.visual_TD[0, 0] for example in data.train]
    per_crop = len(manifest.of_split("train"))
    assert values == [crop + 1 for crop in (2, 0, 1, 3, 4) for _ in range(per_crop)]
    assert len(data.train) == 5 * len(manifest.of_split("train"))
    assert len(data.select) == len(manifest.of_split("val"))
    assert all((example.visual_TD == 3).all() for example in data.select)


@pytest.mark.parametrize(
    ("name", "array", "complaint"),
    [
        ("f2", np.ones((5, 9), np.float32), "9 wide, others 8"),
        ("f2", np.ones(8, np.float32), r"shape \(8,\)"),
        ("f2", np.ones((0, 8), np.float32), r"shape \(0, 8\)"),
        ("f2", np.full((5, 8), np.nan, np.float32), "NaN"),
        ("f2", np.ones((5, 8), np.int64), "int64"),
        ("f2", np.array([{"a": 1}]), "not a readable array"),
        ("f2__1", np.ones((5, 8), np.float32), "lack crops"),
        ("deep/f1", np.ones((5, 8), np.float32), "both are crop 0"),
    ],
)
def test_import_visual_names_an_invalid_file(
    tmp_path: Path, name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    complaint: str,
) -> None:  # fmt: skip
    write(tmp_path / "in", "f1")
    path = tmp_path / "in" / f"{name}.npy"
    path.parent.mkdir(exist_ok=True)
    np.save(path, array, allow_pickle=True)
    with pytest.raises(ImportFeaturesError, match=complaint):
        import_visual(tmp_path / "in", small_manifest(), Store(tmp_path / "store"), 16)


ROWS_TD = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (ROWS_TD * 1e5, r"values from -\S+ to \S+; the store .*: divide all features .* by 1e5"),
        (ROWS_TD.astype(np.float64) * 1e300, "divide all features of this kind by 1e300"),
        (ROWS_TD * 2e-7, "multiply all features of this kind by 1e7"),
        (ROWS_TD.astype(np.float64) * 1e-200, "multiply all features of this kind by 1e200"),
        (ROWS_TD * [[1], [1], [1], [0], [1]], r"row 3 \(from 0\) is all zeros, .*leave it out"),
        (ROWS_TD * [[1], [1e-9], [1], [1], [1]], r"row 1 \(from 0\) is all zeros in float16"),
    ],
)
def test_numbers_that_the_store_cannot_hold_are_refused_before_anything_is_written(
    tmp_path: Path, array: np.ndarray[tuple[int, int], np.dtype[np.floating]], complaint: str
) -> None:
    write(tmp_path / "in", "f1")
    np.save(tmp_path / "in" / "normal2.npy", array)
    with pytest.raises(ImportFeaturesError, match=rf"normal2\.npy: .*{complaint}"):
        import_visual(tmp_path / "in", small_manifest(), Store(tmp_path / "store"), 16)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("factor", [1e-3, 1e4])
def test_features_of_other_scales_are_stored_as_precisely(tmp_path: Path, factor: float) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/f1.npy", ROWS_TD * factor)
    store = Store(tmp_path / "store")
    import_visual(tmp_path / "in", small_manifest(), store, 16)
    stored = FeatureBank.build(store, ["Fighting/f1"])["Fighting/f1"].visual.astype(np.float64)
    np.testing.assert_allclose(stored / factor, ROWS_TD, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.ones((5, 8)), r"shape \(5, 8\), not \[D\]"),
        (np.ones((1, 1, 8)), r"shape \(1, 1, 8\), not \[D\]"),
        (np.ones(8) * 1e6, "divide all features of this kind by 1e6"),
        (np.zeros(8), "all zeros"),
        (np.array(["1", "2"]), "not floating point"),
    ],
)
def test_import_text_names_an_array_that_is_no_text_feature(
    tmp_path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], complaint: str
) -> None:
    write(tmp_path / "in", "f1")
    store = Store(tmp_path / "store")
    import_visual(tmp_path / "in", small_manifest(), store, 16)
    np.savez(tmp_path / "text.npz", allow_pickle=False, **{"Fighting/f1": array})
    with pytest.raises(ImportFeaturesError, match=rf"text\.npz\[Fighting/f1\]: .*{complaint}"):
        import_text(tmp_path / "text.npz", small_manifest(), store)
    assert not (tmp_path / "store/language").exists()


def test_import_visual_says_how_to_name_files(tmp_path: Path) -> None:
    with pytest.raises(ImportFeaturesError, match="no such folder"):
        import_visual(tmp_path / "in", small_manifest(), Store(tmp_path / "store"), 16)
    write(tmp_path / "in", "other")
    with pytest.raises(ImportFeaturesError, match="<crop>"):
        import_visual(tmp_path / "in", small_manifest(), Store(tmp_path / "store"), 16)


def test_import_visual_lists_missing_videos(tmp_path: Path) -> None:
    write(tmp_path / "in", "f1")
    done = import_visual(tmp_path / "in", small_manifest(), Store(tmp_path / "store"), 16)
    assert done.missing == ("Fighting/f2", "normal__1", "normal2")


def test_import_text_takes_one_width_that_may_be_another_than_that_of_the_images(
    tmp_path: Path,
) -> None:
    write(tmp_path / "in", "f1")
    write(tmp_path / "in", "f2")
    store = Store(tmp_path / "store")
    import_visual(tmp_path / "in", small_manifest(), store, 16)
    texts = {"Fighting/f1": np.ones(9, np.float32), "Fighting/f2": np.ones(8, np.float32)}
    np.savez(tmp_path / "text.npz", **texts)  # type: ignore[arg-type]
    with pytest.raises(ImportFeaturesError, match="8 wide, others 9"):
        import_text(tmp_path / "text.npz", small_manifest(), store)
    np.savez(tmp_path / "text.npz", **{"Fighting/f1": texts["Fighting/f1"]})  # type: ignore[arg-type]
    import_text(tmp_path / "text.npz", small_manifest(), store)
    bank = FeatureBank.build(store, ["Fighting/f1"], "explanation")
    text_D = bank.inputs("Fighting/f1").text
    assert text_D is not None
    assert text_D.shape == (9,)
    np.savez(tmp_path / "text.npz", somebody=np.ones(9, np.float32))
    with pytest.raises(ImportFeaturesError, match="no text feature"):
        import_text(tmp_path / "text.npz", small_manifest(), store)


def test_every_snippet_reads_an_imported_text_where_captions_are_asked_for(tmp_path: Path) -> None:
    for name, length in (("f1", 5), ("f2", 9)):
        write(tmp_path / "in", name, (length, 8))
    store = Store(tmp_path / "store")
    import_visual(tmp_path / "in", small_manifest(), store, 16)
    names = {"Fighting/f1": np.full(4, 2.0), "Fighting/f2": np.full(4, 3.0)}
    np.savez(tmp_path / "text.npz", allow_pickle=False, **names)
    import_text(tmp_path / "text.npz", small_manifest(), store)
    bank = FeatureBank.build(store, list(names), "captions")
    lengths = {("Fighting/f1", 0): 5, ("Fighting/f2", 0): 9}
    shard = FeatureShard.load(store, lengths, "captions", 6, ShardMemory(2**30))
    for video, value in names.items():
        expected = np.full((min(6, len(bank[video].visual)), 4), value[0])
        for features in (bank.inputs(video), shard.inputs(video, 0)):
            example = make_example(features, np.zeros(0, np.float32), 6)
            assert example.text is not None
            np.testing.assert_array_equal(example.text, expected)


def test_import_text_names_a_file_of_another_kind(tmp_path: Path) -> None:
    write(tmp_path / "in", "f1")
    store = Store(tmp_path / "store")
    import_visual(tmp_path / "in", small_manifest(), store, 16)
    with pytest.raises(ImportFeaturesError, match=r"f1\.npy: not a readable .npz file \(it is an"):
        import_text(tmp_path / "in/f1.npy", small_manifest(), store)
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ImportFeaturesError, match=r"cut\.npz: not a readable .npz file"):
        import_text(tmp_path / "cut.npz", small_manifest(), store)
    (tmp_path / "in/f1.npy").write_text("no array")
    with pytest.raises(ImportFeaturesError, match=r"f1\.npy: not a readable array"):
        import_text(tmp_path / "in", small_manifest(), store)
    (tmp_path / "in/f1.npy").unlink()
    write(tmp_path / "in", "f1__1", (1, 8))
    assert import_text(tmp_path / "in", small_manifest(), store).videos == 1


@pytest.mark.slow
def test_training_and_evaluation_on_imported_features_need_no_encoder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    class_CD, videos, texts = directions(), [], {}
    for number in range(60):
        label = number % len(CLASSES)
        visual = rng.normal(size=(SNIPPETS, WIDTH)).astype(np.float32) + class_CD[0]
        split = "test" if number % 3 == 0 else "train"
        start = int(rng.integers(0, SNIPPETS - 7))
        if label:
            visual[start : start + 7] += 4 * class_CD[label]
        events = (Event(start * 16, (start + 7) * 16, CLASSES[label]),) if label else ()
        (tmp_path / "in").mkdir(exist_ok=True)
        np.save(tmp_path / "in" / f"v{number}.npy", visual)
        texts[f"v{number}"] = class_CD[label] + rng.normal(size=WIDTH).astype(np.float32) / 4
        truth = events if split == "test" else ()
        videos.append(
            Video(f"v{number}", "x.mp4", split, (CLASSES[label],), truth, SNIPPETS * 16, 16.0)  # type: ignore[arg-type]
        )
    write_manifest(Manifest(CLASSES, tuple(videos)), str(tmp_path / "videos.parquet"))
    np.savez(tmp_path / "text.npz", **texts)
    labels = {label: row[None] for label, row in zip(CLASSES, class_CD, strict=True)}
    np.savez(tmp_path / "labels.npz", **labels)
    common = [
        "data.kind=manifest", f"data.manifest={tmp_path}/videos.parquet", f"run={tmp_path}/run",
        "clip.model=/no/such/model", "llm.model=/no/such/model", "labels.k=0", "train.epochs=12",
        "data.validation=0.3", "train.batch_size=8",
    ]  # fmt: skip
    commands = [
        ["-m", "exvad.cli", "import-features", str(tmp_path / "in"),
         "--text", str(tmp_path / "text.npz"), "--labels", str(tmp_path / "labels.npz")],
        ["jobs/train.py"],
        ["jobs/evaluate.py"],
    ]  # fmt: skip
    for command in commands:
        finished = subprocess.run(
            [sys.executable, *command, "--preset", "demo", *common],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["frame_auc"] > 0.85
    assert summary["explained"] == 0
