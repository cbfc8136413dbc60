"""Features with planted anomalies, and the oracle that knows the rule they were planted by.

Where the truth is known, learning can be proven: no detector can rank snippets better than the
posterior of the very rule that made them, and what text or label phrases must add is decided
beforehand. Nothing here looks like real footage.

T snippets · D feature width · C classes · H hypotheses of what a video holds · m phrases
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
    """What a video may hold: a label, the direction its window is moved in, and how likely."""

    label: int
    direction: int | None
    prior: float


@dataclass(frozen=True)
class PlantedVideo:
    """A drawn video.

    Args:
        example: its features and label.
        window: first and end snippet of its anomaly; None if it is normal.
    """

    example: Example
    window: tuple[int, int] | None


@dataclass(frozen=True)
class Planting:
    """The rule: unit noise about a common mean, moved along a class's direction in one window.

    Half of the videos are normal. Windows are 3 to T / 2 snippets long, all equally likely.

    Args:
        signal: how far a window is moved, in standard deviations of the noise.
        twins: two classes share one direction, so that only the text tells them apart.
        decoys: share of the normal videos that are moved like `Fighting`, which only the text says.
        text_signal: how far a video's text feature is moved along its label's text direction.
        width: D.
        shortest: fewest snippets of a video.
        longest: most snippets.
        seed: draws the directions.
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
        """Unit vectors at right angles: the mean of all snippets, then one per abnormal class."""
        rng = np.random.default_rng([self.seed, 1])
        rows_CD = _orthonormal(rng, len(CLASSES), self.width)
        if self.twins:
            rows_CD[TWIN] = rows_CD[DECOY]
        return rows_CD

    @cached_property
    def text_directions(self) -> Floats:
        """Unit vectors at right angles: what a text about each class is moved along."""
        return _orthonormal(np.random.default_rng([self.seed, 2]), len(CLASSES), self.width)

    @cached_property
    def hypotheses(self) -> list[Hypothesis]:
        """What a video may hold."""
        abnormal = len(CLASSES) - 1
        found = [Hypothesis(0, None, (1 - self.decoys) / 2)]
        if self.decoys:
            found.append(Hypothesis(0, DECOY, self.decoys / 2))
        return [*found, *(Hypothesis(c, c, 0.5 / abnormal) for c in range(1, abnormal + 1))]

    def draw(self, count: int, seed: int) -> list[PlantedVideo]:
        """Draw videos; another seed draws others."""
        rng = np.random.default_rng([self.seed, 3, seed])
        return [self._draw(f"v{number}", rng) for number in range(count)]

    def _draw(self, name: str, rng: np.random.Generator) -> PlantedVideo:
        priors = [hypothesis.prior for hypothesis in self.hypotheses]
        held = self.hypotheses[rng.choice(len(priors), p=priors)]
        length = int(rng.integers(self.shortest, self.longest + 1))
        visual_TD = rng.normal(size=(length, self.width)).astype(np.float32) + self.directions[0]
        window = None
        if held.direction is not None:
            windows = _windows(length)
            start, end = windows[rng.integers(len(windows))].tolist()
            visual_TD[start:end] += self.signal * self.directions[held.direction]
            window = (start, end) if held.label else None
        text_D = rng.normal(size=self.width) + self.text_signal * self.text_directions[held.label]
        target_C = np.eye(len(CLASSES), dtype=np.float32)[held.label]
        return PlantedVideo(Example(name, visual_TD, text_D.astype(np.float32), target_C), window)

    def phrases(self, per_class: int, seed: int) -> tuple[Floats, list[Floats]]:
        """Return a vector for each class's name, and vectors for phrases about it.

        A phrase is a noisy view of its class's direction. Names say little: they lie close about
        one vector that all of them share.

        Returns:
            [C, D], and [m, D] per class.
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
        """Say what can be known: the exact posterior of the rule.

        Args:
            example: a video.
            with_text: look at the text feature too.

        Returns:
            The probability [T] that a snippet lies in an anomaly, and that [C] of each label.
        """
        length = len(example.visual_TD)
        windows_W2 = _windows(length)
        above_TD = example.visual_TD - self.directions[0]
        log_weights: list[NDArray[np.float64]] = []
        for held in self.hypotheses:
            log_H = np.full(len(windows_W2), np.log(held.prior / len(windows_W2)))
            if held.direction is not None:
                along_T = above_TD @ self.directions[held.direction]
                gain_T = self.signal * along_T.astype(np.float64) - self.signal**2 / 2
                total = np.concatenate([[0.0], np.cumsum(gain_T)])
                log_H += total[windows_W2[:, 1]] - total[windows_W2[:, 0]]
            if with_text:
                assert example.text is not None
                log_H += self.text_signal * float(example.text @ self.text_directions[held.label])
            log_weights.append(log_H)
        weight_HW = np.exp(np.stack(log_weights) - np.max(log_weights))
        weight_HW /= weight_HW.sum()
        label_C, inside = np.zeros(len(CLASSES)), np.zeros(length + 1)
        for held, weight_W in zip(self.hypotheses, weight_HW, strict=True):
            label_C[held.label] += weight_W.sum()
            if held.label:
                np.add.at(inside, windows_W2[:, 0], weight_W)
                np.subtract.at(inside, windows_W2[:, 1], weight_W)
        return np.cumsum(inside[:-1]).astype(np.float32), label_C.astype(np.float32)


def _windows(length: int) -> NDArray[np.int64]:
    """Return the start and end of every window a video of that length may have, [W, 2]."""
    return np.array(
        [
            (start, start + size)
            for size in range(3, length // 2 + 1)
            for start in range(length - size + 1)
        ]
    )


def _orthonormal(rng: np.random.Generator, count: int, width: int) -> Floats:
    """Draw unit vectors at right angles, [count, width]."""
    basis = np.linalg.qr(rng.normal(size=(width, count)))[0]
    return np.ascontiguousarray(basis.T, np.float32)
