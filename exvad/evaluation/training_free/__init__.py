"""Systems that score videos without training, most by what a language model says about captions.

They give predictions as those of `exvad.baselines` do, so the same metrics measure both:

- `catalogue.py`: the systems by name.
- `lavad.py`: LAVAD (Zanella et al., CVPR 2024).
- `vera.py`: VERA (Ye et al., CVPR 2025), and `vera_learning.py`, how its questions are learned.
- `flashback.py`: Flashback (Lee et al., 2025), which matches a memory and asks no language model.
- `windows.py`: windows of a few seconds, their captions and features.
- `answers.py`: what is read in answers, and how many can't be read.
- `frame_judge.py`: VERA with frames instead of captions.
- `stored_answers.py`: answers kept in a file.
- `scoring.py`: from the answers of windows to the scores of snippets.

Their numeric steps are in `exvad.baselines.common`: `refinement` and `smoothing`.
"""

from __future__ import annotations

from exvad.evaluation.training_free.catalogue import (
    TRAINING_FREE,
    TrainingFreeInputs,
    build_training_free,
    load_inputs,
)
from exvad.evaluation.training_free.scoring import TrainingFreeResult, TrainingFreeSystem
from exvad.evaluation.training_free.vera_learning import LabelledVideo, learn_questions

__all__ = [
    "TRAINING_FREE",
    "LabelledVideo",
    "TrainingFreeInputs",
    "TrainingFreeResult",
    "TrainingFreeSystem",
    "build_training_free",
    "learn_questions",
    "load_inputs",
]
