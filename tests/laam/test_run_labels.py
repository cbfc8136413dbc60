"""The labels of a run: encoded by CLIP, or imported as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exvad.config import load_config
from exvad.laam.label_vectors import LabelVectors
from exvad.laam.phrases import LabelPhrases
from exvad.laam.run_labels import IMPORTED_LABELS_FILE, RunLabels, import_labels
from tests.helpers.fakes import FakeEncoder
from tests.helpers.labels import LABELS


def test_load_encodes_the_label_file_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.laam.run_labels.load_clip", lambda _: FakeEncoder())
    config = load_config("demo", [f"run={tmp_path}", "labels.k=1"])
    Path(config.labels_path).write_text(LABELS.model_dump_json(), encoding="utf-8")
    labels = RunLabels.load(config, LABELS.classes)
    assert labels.phrases == LABELS
    expected_CD = LabelVectors.encode(LABELS, FakeEncoder()).embeddings("augmented", 1)
    np.testing.assert_array_equal(labels.embeddings(config), expected_CD)


def test_load_prefers_imported_labels(tmp_path: Path) -> None:
    config = load_config("demo", [f"run={tmp_path}", "labels.k=1"])
    rows = {"Normal": np.eye(4)[:2], "Fighting": np.eye(4)[2:]}
    np.savez(tmp_path / "given.npz", **rows)  # type: ignore[arg-type]
    import_labels(tmp_path / "given.npz", ["Normal", "Fighting"], config)
    half = np.sqrt(0.5)
    labels = RunLabels.load(config, ["Normal", "Fighting"])
    assert labels.phrases.phrases == {"Normal": ["Normal 1"], "Fighting": ["Fighting 1"]}
    np.testing.assert_allclose(
        labels.embeddings(config), [[half, half, 0, 0], [0, 0, half, half]], atol=1e-6
    )
    with pytest.raises(ValueError, match=r"now has Normal, Arson: import the labels again"):
        RunLabels.load(config, ["Normal", "Arson"])
    with pytest.raises(ValueError, match="Arson"):
        import_labels(tmp_path / "given.npz", ["Normal", "Arson"], config)
    with pytest.raises(ValueError, match="fewer phrases"):
        labels.embeddings(load_config("demo", ["labels.k=2"]))


def test_names_of_classes_may_be_in_either_form_of_unicode(tmp_path: Path) -> None:
    config = load_config("demo", [f"run={tmp_path}", "labels.k=1"])
    decomposed, composed = "U\u0308berfall", "\u00dcberfall"
    rows = {"Normal": np.eye(4)[:2], decomposed: np.eye(4)[2:]}
    np.savez(tmp_path / "given.npz", **rows)  # type: ignore[arg-type]
    import_labels(tmp_path / "given.npz", ["Normal", composed], config)
    np.savez(tmp_path / IMPORTED_LABELS_FILE, **rows)  # type: ignore[arg-type]
    assert RunLabels.load(config, ["Normal", composed]).phrases.classes == ("Normal", composed)
    phrases = {"Normal": ["a"], decomposed: ["b"]}
    file = tmp_path / "labels.json"
    file.write_text(LabelPhrases(phrases=phrases, origin="me").model_dump_json())
    assert LabelPhrases.read(file).classes == ("Normal", composed)
    with pytest.raises(ValueError, match="twice"):
        LabelPhrases(phrases={decomposed: ["a"], composed: ["b"]}, origin="me")


def test_load_rejects_damaged_imported_labels(tmp_path: Path) -> None:
    (tmp_path / IMPORTED_LABELS_FILE).write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"is damaged .*: import the labels again"):
        RunLabels.load(load_config("demo", [f"run={tmp_path}"]), ["Normal", "Arson"])


def test_load_refuses_phrases_of_the_classes_that_a_data_set_had_before(tmp_path: Path) -> None:
    config = load_config("demo", [f"run={tmp_path}"])
    Path(config.labels_path).write_text(LABELS.model_dump_json(), encoding="utf-8")
    with pytest.raises(ValueError, match="now has Normal, Fall, RoadAccidents: run `exvad"):
        RunLabels.load(config, ["Normal", "Fall", "RoadAccidents"])


@pytest.mark.parametrize(
    "rows",
    [
        {"Normal": np.ones((2, 4)), "Arson": np.ones((2, 3))},
        {"Normal": np.ones((2, 4)), "Arson": np.full((2, 4), np.nan)},
        {"Normal": np.ones((2, 4)), "Arson": np.ones((1, 2, 4))},
    ],
)
def test_import_labels_rejects_arrays_of_a_wrong_shape(
    tmp_path: Path, rows: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]
) -> None:
    np.savez(tmp_path / "given.npz", **rows)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"each class needs finite \[1 \+ m, D\]"):
        import_labels(
            tmp_path / "given.npz", ["Normal", "Arson"], load_config("demo", [f"run={tmp_path}"])
        )


def test_import_labels_rejects_embeddings_of_zeros(tmp_path: Path) -> None:
    rows: dict[str, Any] = {"Normal": np.ones((2, 4)), "Arson": np.eye(4)[:3] * [1, 0, 1, 1]}
    np.savez(tmp_path / "given.npz", **rows)
    config = load_config("demo", [f"run={tmp_path}/run"])
    with pytest.raises(ValueError, match=r"given\.npz\[Arson\]: row 1 \(from 0\) is all zeros"):
        import_labels(tmp_path / "given.npz", ["Normal", "Arson"], config)
    assert not (tmp_path / "run").exists()


def test_import_labels_rejects_a_file_that_is_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "given.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"given\.npz: no \.npz file that can be read"):
        import_labels(tmp_path / "given.npz", ["Normal"], load_config("demo", [f"run={tmp_path}"]))
