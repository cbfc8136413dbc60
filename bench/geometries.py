"""Planted anomalies in features that resemble those of real encoders, on long videos.

`bench/planted.py` plants into white noise, where every method has it easy. Here a video has a scene
of its own, snippets follow each other smoothly, events are short, texts are wrong at times, and all
label embeddings are alike. Three encoders are imitated by what is known of the statistics of their
features, not by their content.

T snippets · D feature width · C classes · Z latent width
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from exvad.store.examples import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Encoder = Literal["sentences", "i3d", "clip"]
ENCODERS: tuple[Encoder, ...] = ("sentences", "i3d", "clip")
CLASSES = ("Normal", "Abuse", "Arson", "Assault", "Explosion", "Fighting", "Robbery", "Shooting")
LATENT = 32


@dataclass(frozen=True)
class LongVideo:
    """A planted video.

    Args:
        example: its features and label.
        events: start and end snippet of each anomaly, half-open.
    """

    example: Example
    events: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Geometry:
    """The rule: in a latent space a scene, smooth motion and short events; then an encoder.

    Args:
        encoder: `sentences` has vectors of unit length in a narrow cone, `i3d` non-negative ones
            of very different scales, `clip` a narrow cone with two very large coordinates.
        width: D.
        signal: length of the shift of an event, in standard deviations of the motion.
        scene: standard deviation of the scene of a video.
        shortest: minimum T.
        longest: maximum T.
        alike: cosine of two label embeddings, about.
        wrong_texts: share of the texts that speak of another class.
        text_width: width of text features and label embeddings; 0 for D.
        seed: determines directions and scales.
    """

    encoder: Encoder
    width: int = 64
    signal: float = 7.0
    scene: float = 1.5
    shortest: int = 24
    longest: int = 80
    alike: float = 0.85
    wrong_texts: float = 0.25
    text_width: int = 0
    seed: int = 0

    @cached_property
    def _bases(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Classes [C, Z], latent to features [Z, D], means and scales [D], text classes [C, D]."""
        rng = np.random.default_rng([self.seed, 11])
        class_CZ = np.linalg.qr(rng.normal(size=(LATENT, len(CLASSES))))[0].T
        # Anomalies have something in common, or nothing could be learned from few of each class.
        class_CZ = _unit(class_CZ + class_CZ[0])
        mix_ZD = rng.normal(size=(LATENT, self.width)) / LATENT**0.5
        mean_D = rng.normal(size=self.width)
        scale_D = np.exp(rng.normal(0, 1, self.width))
        text_width = self.text_width or self.width
        text_CD = np.linalg.qr(rng.normal(size=(text_width, len(CLASSES) + 1)))[0].T
        arrays = (class_CZ, mix_ZD, mean_D, scale_D, text_CD)
        a, b, c, d, e = (array.astype(np.float32) for array in arrays)
        return a, b, c, d, e

    @cached_property
    def label_CD(self) -> Floats:  # noqa: N802
        """Label embeddings F_L, unit vectors that are alike."""
        return _unit(self._texts(np.arange(len(CLASSES))))

    def draw(self, count: int, seed: int) -> list[LongVideo]:
        """Return random videos, half of them normal; another seed, other videos."""
        rng = np.random.default_rng([self.seed, 12, seed])
        return [self._draw(f"v{number}", number, rng) for number in range(count)]

    def _draw(self, name: str, number: int, rng: np.random.Generator) -> LongVideo:
        label = 0 if number % 2 else 1 + number // 2 % (len(CLASSES) - 1)
        length = int(rng.integers(self.shortest, self.longest + 1))
        latent_TZ = _smooth_noise(rng, length) + self.scene * rng.normal(size=LATENT)
        events: list[tuple[int, int]] = []
        if label:
            size = int(rng.integers(3, max(4, length // 8) + 1))
            start = int(rng.integers(0, length - size + 1))
            events = [(start, start + size)]
            latent_TZ[start : start + size] += self.signal * self._bases[0][label]
        told = label
        if rng.random() < self.wrong_texts:
            told = int(rng.integers(len(CLASSES)))
        text_D = self._texts(np.array([told]))[0]
        text_D = _unit(text_D + rng.normal(0, 0.5 / len(text_D) ** 0.5, len(text_D)))
        target_C = np.eye(len(CLASSES), dtype=np.float32)[label]
        visual_TD = self._encode(latent_TZ)
        example = Example(name, visual_TD, text_D.astype(np.float32), target_C)
        return LongVideo(example, tuple(events))

    def _encode(self, latent_TZ: NDArray[np.float64]) -> Floats:
        _, mix_ZD, mean_D, scale_D, _ = self._bases
        raw_TD = latent_TZ @ mix_ZD
        if self.encoder == "i3d":
            return np.asarray(np.maximum(raw_TD + mean_D, 0) * scale_D, np.float32)
        cone_TD = raw_TD + 2 * mean_D
        if self.encoder == "clip":
            cone_TD[:, :2] += 3 * self.width**0.5
        return np.asarray(_unit(cone_TD), np.float32)

    def _texts(self, labels: NDArray[np.intp]) -> Floats:
        text_CD = self._bases[4]
        own_ND = text_CD[labels]
        mixed: Floats = self.alike**0.5 * text_CD[-1] + (1 - self.alike) ** 0.5 * own_ND
        return mixed


def _smooth_noise(rng: np.random.Generator, length: int) -> NDArray[np.float64]:
    """Return noise [T, Z] of unit variance in which neighbours are alike."""
    noise_TZ = rng.normal(size=(length, LATENT))
    for row in range(1, length):
        noise_TZ[row] = 0.7 * noise_TZ[row - 1] + (1 - 0.7**2) ** 0.5 * noise_TZ[row]
    return noise_TZ


def _unit(rows: NDArray[np.floating]) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)
