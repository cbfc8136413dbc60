"""The profile of a snippet: a few numbers that say where its image feature lies among others.

An encoder gives features of about one length, in directions that all lie around one axis, and most
of their variance has few directions. Features of another kind differ in one of these respects, and
are often nearer to the mean in another. A single distance over all directions loses that, so each
respect is a number of its own.

T snippets · D feature width · K principal components · P numbers of a profile
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_COMPONENTS = 64
BANDS = 2  # of principal components, from those with much variance to those with little
MIN_VARIANCE_SHARE = 1e-4  # of the mean variance: directions that never vary do not decide alone
MIN_VARIANCE = 1e-30  # where all features have one direction
MIN_LENGTH = 1e-12  # of a feature of zeros, which has no direction
MIN_SQUARE = 1e-6  # of whitened coordinates, whose squares are about 1: no logarithm of 0


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """The directions of training features: their mean and principal components.

    Args:
        mean_D: mean of the directions, which are features of length 1; float32.
        basis_KD: principal components of the directions, orthonormal; float32.
        variances_K: variance along each of them, from the largest to the smallest; float32.
        residual: variance in every other direction; float32, one number.
    """

    mean_D: NDArray[np.float32]
    basis_KD: NDArray[np.float32]
    variances_K: NDArray[np.float32]
    residual: NDArray[np.float32]

    def profiles(self, visual_TD: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the profile of each snippet, [T, P].

        It holds the logarithm of the feature's length, the cosine of its angle to the mean
        direction, and the logarithms of the mean squares of its whitened coordinates: in each band
        of principal components, and in all other directions.

        Args:
            visual_TD: image features.
        """
        lengths_T, directions_TD = _split(visual_TD)
        mean_D = self.mean_D.astype(np.float64)
        centred_TD = directions_TD - mean_D
        along_TK = centred_TD @ self.basis_KD.T.astype(np.float64)
        others = max(len(mean_D) - along_TK.shape[1], 1)
        rest_T = np.maximum((centred_TD**2).sum(1) - (along_TK**2).sum(1), 0) / others
        bands = np.array_split(along_TK**2 / self.variances_K, BANDS, axis=1)
        squares = [band.mean(1) for band in bands if band.size] + [rest_T / self.residual]
        cosines_T = directions_TD @ mean_D / max(float(np.linalg.norm(mean_D)), MIN_LENGTH)
        return np.stack(
            [np.log(lengths_T), cosines_T, *(np.log(row_T + MIN_SQUARE) for row_T in squares)],
            axis=1,
        )


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over videos, each of weight 1, of which a feature space is made.

    Args:
        weight: number of videos.
        sum_D: sum of their mean directions.
        products_DD: sum of the mean outer products of their directions.
    """

    weight: float
    sum_D: NDArray[np.float64]
    products_DD: NDArray[np.float64]

    @classmethod
    def of(cls, videos: Sequence[NDArray[np.floating]]) -> Moments:
        """Sum over videos, at least one.

        Args:
            videos: image features [T, D] of each video.
        """
        width = videos[0].shape[1]
        sum_D, products_DD = np.zeros(width), np.zeros((width, width))
        for visual_TD in videos:
            _, directions_TD = _split(visual_TD)
            sum_D += directions_TD.mean(0)
            products_DD += directions_TD.T @ directions_TD / len(directions_TD)
        return cls(len(videos), sum_D, products_DD)

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.weight + other.weight,
            self.sum_D + other.sum_D,
            self.products_DD + other.products_DD,
        )

    def __sub__(self, other: Moments) -> Moments:
        return Moments(
            self.weight - other.weight,
            self.sum_D - other.sum_D,
            self.products_DD - other.products_DD,
        )

    def space(self) -> FeatureSpace:
        """Return the mean and the principal components."""
        mean_D = self.sum_D / self.weight
        covariance_DD = self.products_DD / self.weight - np.outer(mean_D, mean_D)
        variances_D, vectors_DD = np.linalg.eigh(covariance_DD)
        floor = max(MIN_VARIANCE_SHARE * float(variances_D.mean()), MIN_VARIANCE)
        variances_D = np.maximum(variances_D[::-1], floor)
        count = min(MAX_COMPONENTS, len(mean_D) // 2)
        return FeatureSpace(
            mean_D.astype(np.float32),
            np.ascontiguousarray(vectors_DD[:, ::-1][:, :count].T, np.float32),
            variances_D[:count].astype(np.float32),
            np.array(variances_D[count:].mean(), np.float32),
        )


def _split(
    visual_TD: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lengths of features, [T], and their directions, [T, D]."""
    rows_TD = np.asarray(visual_TD, np.float64)
    lengths_T = np.maximum(np.linalg.norm(rows_TD, axis=1), MIN_LENGTH)
    return lengths_T, rows_TD / lengths_T[:, None]
