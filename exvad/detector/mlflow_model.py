"""MLflow's loader module of a logged checkpoint: paths of videos in, analyses out."""

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
            One row per file: its path, its predicted class, its anomaly score (0 to 1), the whole
            analysis as JSON (`exvad.results.Analysis`), and what is said of a file that lies
            outside what the checkpoint was trained on (else empty): its class means little.

        Raises:
            ValueError: a file is not a readable video.
        """
        import pandas as pd

        analyses = [(str(path), self._detector.analyze(Path(path))) for path in videos["video"]]
        rows = [
            (
                path,
                analysis.label,
                analysis.anomaly_score,
                analysis.model_dump_json(),
                analysis.domain_notice,
            )
            for path, analysis in analyses
        ]
        return pd.DataFrame(rows, columns=[name for name, _ in COLUMNS])


def _load_pyfunc(path: str) -> VideoModel:
    return VideoModel(Detector(path))
