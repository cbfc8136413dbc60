"""Features with planted anomalies, and the oracle of the rule that plants them.

Because the rule is known, learning can be verified: no detector can rank snippets better than the
posterior of the rule, and the gain from text or label phrases is known in advance. The features do
not resemble real footage.

T snippets · D feature width · C classes · H hypotheses about a video · W windows · m phrases
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from exvad.store.examples import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

CLASSES = ("Normal", "Fighting", "Assault", "Arson", "Robbery", "Explosion")
TWIN, DECOY = CLASSES.index("Assault"), CLASSES.index("Fighting")


class Hypothesis(NamedTuple):
    """One possible content of a video.

    Args:
        label: index of its class.
        direction: index of the direction in which a window is shifted; None for no window.
        prior: its probability.
    """

    label: int
    direction: int | None
    prior: float


@dataclass(frozen=True)
class PlantedVideo:
    """A planted video.

    Args:
        example: its features and label.
        window: start and end snippet of its anomaly, half-open; None if it is normal.
    """

    example: Example
    window: tuple[int, int] | None


@dataclass(frozen=True)
class Planting:
    """The rule: unit noise around a common mean, shifted along a class's direction in one window.

    Half of the videos are normal. Windows are 3 to T / 2 snippets long; all are equally likely.

    Args:
        signal: shift of a window, in standard deviations of the noise.
        twins: two classes share one direction, so that only the text distinguishes them.
        decoys: share of the normal videos with a window shifted as for `Fighting`; only the text
            distinguishes them.
        text_signal: shift of a video's text feature along the text direction of its label.
        width: D.
        shortest: minimum T.
        longest: maximum T.
        seed: determines the directions.
    """

    signal: float = 4.0
    twins: bool = False
    decoys: float = 0.0
    text_signal: float = 6.0
    width: int = 32
    shortest: int = 16
    longest: int = 32
    seed: int = 0

    @cached_property
    def directions(self) -> Floats:
        """Orthonormal vectors [C, D]: the mean of all snippets, then one per abnormal class."""
        rng = np.random.default_rng([self.seed, 1])
        rows_CD = _orthonormal(rng, len(CLASSES), self.width)
        if self.twins:
            rows_CD[TWIN] = rows_CD[DECOY]
        return rows_CD

    @cached_property
    def text_directions(self) -> Floats:
        """Orthonormal vectors [C, D]: the direction of the text about each class."""
        return _orthonormal(np.random.default_rng([self.seed, 2]), len(CLASSES), self.width)

    @cached_property
    def hypotheses(self) -> list[Hypothesis]:
        """All possible contents of a video."""
        abnormal = len(CLASSES) - 1
        normal = [Hypothesis(0, None, (1 - self.decoys) / 2)]
        if self.decoys:
            normal.append(Hypothesis(0, DECOY, self.decoys / 2))
        return [*normal, *(Hypothesis(c, c, 0.5 / abnormal) for c in range(1, abnormal + 1))]

    def draw(self, count: int, seed: int) -> list[PlantedVideo]:
        """Return random videos; another seed, other videos."""
        rng = np.random.default_rng([self.seed, 3, seed])
        return [self._draw(f"v{number}", rng) for number in range(count)]

    def _draw(self, name: str, rng: np.random.Generator) -> PlantedVideo:
        priors = [hypothesis.prior for hypothesis in self.hypotheses]
        content = self.hypotheses[rng.choice(len(priors), p=priors)]
        length = int(rng.integers(self.shortest, self.longest + 1))
        visual_TD = rng.normal(size=(length, self.width)).astype(np.float32) + self.directions[0]
        window = None
        if content.direction is not None:
            windows_W2 = _windows(length)
            start, end = windows_W2[rng.integers(len(windows_W2))].tolist()
            visual_TD[start:end] += self.signal * self.directions[content.direction]
            window = (start, end) if content.label else None
        text_direction_D = self.text_directions[content.label]
        text_D = rng.normal(size=self.width) + self.text_signal * text_direction_D
        target_C = np.eye(len(CLASSES), dtype=np.float32)[content.label]
        return PlantedVideo(Example(name, visual_TD, text_D.astype(np.float32), target_C), window)

    def phrases(self, per_class: int, seed: int) -> tuple[Floats, list[Floats]]:
        """Return vectors for the class names, and vectors for phrases of each class.

        A phrase is a noisy copy of its class's direction. Names are hardly informative: they are
        close to one vector that all of them share.

        Args:
            per_class: m.
            seed: another seed, other vectors.

        Returns:
            Names [C, D], and phrases [m, D] of each class.
        """
        rng = np.random.default_rng([self.seed, 4, seed])
        shared_D = _orthonormal(rng, 1, self.width)[0]
        names_CD = shared_D + 0.1 * _orthonormal(rng, len(CLASSES), self.width)
        rows = [
            row_D + rng.normal(0, 0.5 / self.width**0.5, (per_class, self.width)).astype(np.float32)
            for row_D in self.directions
        ]
        return names_CD.astype(np.float32), rows

    def oracle(self, example: Example, with_text: bool = False) -> tuple[Floats, Floats]:
        """Return the exact posterior of the rule for a video.

        Args:
            example: the video.
            with_text: condition on the text feature too.

        Returns:
            Probability [T] that a snippet is abnormal, and probability [C] of each label.
        """
        length = len(example.visual_TD)
        windows_W2 = _windows(length)
        above_TD = example.visual_TD - self.directions[0]
        log_weights: list[NDArray[np.float64]] = []
        for hypothesis in self.hypotheses:
            log_W = np.full(len(windows_W2), np.log(hypothesis.prior / len(windows_W2)))
            if hypothesis.direction is not None:
                along_T = above_TD @ self.directions[hypothesis.direction]
                gain_T = self.signal * along_T.astype(np.float64) - self.signal**2 / 2
                total = np.concatenate([[0.0], np.cumsum(gain_T)])
                log_W += total[windows_W2[:, 1]] - total[windows_W2[:, 0]]
            if with_text:
                assert example.text is not None
                text_direction_D = self.text_directions[hypothesis.label]
                log_W += self.text_signal * float(example.text @ text_direction_D)
            log_weights.append(log_W)
        weight_HW = np.exp(np.stack(log_weights) - np.max(log_weights))
        weight_HW /= weight_HW.sum()
        label_C, inside = np.zeros(len(CLASSES)), np.zeros(length + 1)
        for hypothesis, weight_W in zip(self.hypotheses, weight_HW, strict=True):
            label_C[hypothesis.label] += weight_W.sum()
            if hypothesis.label:
                np.add.at(inside, windows_W2[:, 0], weight_W)
                np.subtract.at(inside, windows_W2[:, 1], weight_W)
        return np.cumsum(inside[:-1]).astype(np.float32), label_C.astype(np.float32)


def _windows(length: int) -> NDArray[np.int64]:
    """Return start and end of every possible window of a video of this length, [W, 2]."""
    return np.array(
        [
            (start, start + size)
            for size in range(3, length // 2 + 1)
            for start in range(length - size + 1)
        ]
    )


def _orthonormal(rng: np.random.Generator, count: int, width: int) -> Floats:
    """Return random orthonormal vectors, [count, width]."""
    basis = np.linalg.qr(rng.normal(size=(width, count)))[0]
    return np.ascontiguousarray(basis.T, np.float32)
