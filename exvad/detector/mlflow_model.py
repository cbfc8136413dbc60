"""What MLflow loads a logged checkpoint with: paths of videos in, answers out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exvad.checkpoints.mlflow_model import COLUMNS
from exvad.detector.detector import Detector

if TYPE_CHECKING:
    import pandas as pd


class VideoModel:
    """The model that `mlflow.pyfunc.load_model` wraps.

    Args:
        detector: the loaded detector.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def predict(self, videos: pd.DataFrame) -> pd.DataFrame:
        """Analyze the files of the column `video`.

        Args:
            videos: a column `video` of paths.

        Returns:
            A row per file: its path, the class it is given, the anomaly score (0 to 1), and the
            whole answer as JSON (`exvad.results.Analysis`).

        Raises:
            ValueError: a file can't be read as a video.
        """
        import pandas as pd

        answers = [(str(path), self._detector.analyze(Path(path))) for path in videos["video"]]
        rows = [(path, a.label, a.anomaly_score, a.model_dump_json()) for path, a in answers]
        return pd.DataFrame(rows, columns=[name for name, _ in COLUMNS])


def _load_pyfunc(path: str) -> VideoModel:
    return VideoModel(Detector(path))
