"""The domain of a checkpoint: how far the features of a video lie from those of training.

A network answers about any features, and most confidently about some that are unlike all it was
trained on. So a checkpoint keeps the mean of its training features and their principal components.
The distance of a snippet is the root mean square of its whitened coordinates, and that of a video
is the median over its snippets. The limit is a quantile of the distances of training videos, each
measured by the statistics of the others. The test split is never used.

N videos · T snippets · D feature width · K principal components · Q quantiles
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch

from exvad.results import DomainCheck

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_VIDEOS = 20  # fewer give no quantile of their distances worth the name
MAX_COMPONENTS = 64
FOLDS = 5
LIMIT = 0.99  # of the training videos are within the limit
PREFIX = "domain."  # of the tensors in a checkpoint
MIN_VARIANCE_SHARE = 1e-4  # of the mean variance: features that never vary do not decide alone
MIN_LIMIT = 1e-3  # of training features that are all equal
MIN_VARIANCE = 1e-30  # where all features are equal


@dataclass(frozen=True)
class Domain:
    """The statistics of the image features that a network was trained on.

    Args:
        mean_D: mean of the features.
        basis_KD: principal components, orthonormal.
        variances_K: variance of the features along each of them.
        residual: variance in every other direction; a tensor of one number.
        distances_Q: 101 quantiles, 0 to 100 %, of the distances of training videos.
        videos: N, the number of training videos; a tensor of one number.
    """

    mean_D: torch.Tensor
    basis_KD: torch.Tensor
    variances_K: torch.Tensor
    residual: torch.Tensor
    distances_Q: torch.Tensor
    videos: torch.Tensor

    @property
    def limit(self) -> float:
        """The distance that 99 % of the training videos do not exceed."""
        return max(float(np.quantile(self.distances_Q.numpy(), LIMIT)), MIN_LIMIT)

    def distances(self, visual_TD: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distance of each snippet, [T], at least 0; about 1 for those of training.

        Args:
            visual_TD: image features.
        """
        components = _Components(
            self.mean_D.double().numpy(),
            self.basis_KD.double().numpy(),
            self.variances_K.double().numpy(),
            float(self.residual),
        )
        return components.distances(visual_TD)

    def check(self, distances_T: NDArray[np.float64], about: str = "") -> DomainCheck:
        """Return whether snippets of one video, or of one stretch of a stream, lie outside.

        Args:
            distances_T: their distances, at least one.
            about: a sentence about the checkpoint, part of the notice.
        """
        distance = float(np.median(distances_T)) / self.limit
        if distance <= 1:
            text = f"The images are like those of training ({distance:.2f} of the limit)."
            return DomainCheck(state="inside", distance=distance, text=text)
        weight = confidence_weight(distance)
        parts = [
            "Outside the domain of this checkpoint: the images are unlike those of its "
            f"{int(self.videos)} training videos ({distance:.1f} times the limit). Scores, classes "
            f"and times mean little here; confidences are multiplied by {weight:.2g}.",
            about,
        ]
        text = " ".join(part for part in parts if part)
        return DomainCheck(state="outside", distance=distance, confidence_weight=weight, text=text)

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Return the statistics as tensors to store beside the weights."""
        return {f"{PREFIX}{item.name}": getattr(self, item.name) for item in fields(self)}


def pop_domain(tensors: dict[str, torch.Tensor]) -> Domain | None:
    """Remove the statistics from the tensors of a checkpoint and return them.

    Args:
        tensors: name → tensor; those of `Domain.to_tensors` are removed.

    Returns:
        None if there are none.

    Raises:
        KeyError: some of them are missing.
    """
    stored = {name: tensors.pop(name) for name in list(tensors) if name.startswith(PREFIX)}
    if not stored:
        return None
    return Domain(**{item.name: stored[f"{PREFIX}{item.name}"] for item in fields(Domain)})


def check_domain(
    domain: Domain | None, visual_TD: NDArray[np.floating], about: str = ""
) -> DomainCheck:
    """Return whether a video lies outside of what a checkpoint was trained on.

    Args:
        domain: the statistics of the checkpoint; None without any.
        visual_TD: image features of the video.
        about: a sentence about the checkpoint, part of the notice.
    """
    if domain is None:
        return UNKNOWN
    return domain.check(domain.distances(visual_TD), about)


UNKNOWN = DomainCheck(
    state="unknown",
    distance=None,
    text="The checkpoint keeps no statistics of its training features, so it can't say whether "
    "this video is like them.",
)


def confidence_weight(distance: float) -> float:
    """Return what confidences are multiplied by: 1 up to the limit, then 1 / distance².

    Args:
        distance: as a multiple of the limit, at least 0.
    """
    return 1.0 if distance <= 1 else 1 / distance**2


def fit_domain(videos: Sequence[NDArray[np.floating]]) -> Domain | None:
    """Compute the statistics of training features.

    Every video has the same weight, however long it is. The distances come from five folds, because
    videos lie nearer to statistics that they are part of than unseen videos do.

    Args:
        videos: image features [T, D] of each training video, or of a sample of its snippets.

    Returns:
        None for fewer than 20 videos.
    """
    if len(videos) < MIN_VIDEOS:
        return None
    moments = [_Moments.of(videos[fold::FOLDS]) for fold in range(FOLDS)]
    whole = sum(moments[1:], moments[0])
    distances_N = np.empty(len(videos))
    for fold in range(FOLDS):
        others = (whole - moments[fold]).components()
        for row in range(fold, len(videos), FOLDS):
            distances_N[row] = np.median(others.distances(videos[row]))
    components = whole.components()

    def tensor(values: NDArray[np.float64] | float) -> torch.Tensor:
        return torch.from_numpy(np.array(values, np.float32, order="C"))

    return Domain(
        mean_D=tensor(components.mean_D),
        basis_KD=tensor(components.basis_KD),
        variances_K=tensor(components.variances_K),
        residual=tensor(components.residual),
        distances_Q=tensor(np.quantile(distances_N, np.linspace(0, 1, 101))),
        videos=torch.tensor(len(videos)),
    )


@dataclass(frozen=True)
class _Components:
    """Mean and principal components of features; see `Domain`."""

    mean_D: NDArray[np.float64]
    basis_KD: NDArray[np.float64]
    variances_K: NDArray[np.float64]
    residual: float

    def distances(self, visual_TD: NDArray[np.floating]) -> NDArray[np.float64]:
        centred_TD = np.asarray(visual_TD, np.float64) - self.mean_D
        along_TK = centred_TD @ self.basis_KD.T
        rest_T = np.maximum((centred_TD**2).sum(1) - (along_TK**2).sum(1), 0)
        squares_T = (along_TK**2 / self.variances_K).sum(1) + rest_T / self.residual
        distances_T: NDArray[np.float64] = np.sqrt(squares_T / len(self.mean_D))
        return distances_T


@dataclass(frozen=True)
class _Moments:
    """Sums over videos, each of weight 1, of which statistics are made.

    Args:
        weight: number of videos.
        sum_D: sum of the features.
        products_DD: sum of their outer products.
    """

    weight: float
    sum_D: NDArray[np.float64]
    products_DD: NDArray[np.float64]

    @classmethod
    def of(cls, videos: Sequence[NDArray[np.floating]]) -> _Moments:
        width = videos[0].shape[1]
        sum_D, products_DD = np.zeros(width), np.zeros((width, width))
        for visual_TD in videos:
            rows_TD = np.asarray(visual_TD, np.float64)
            sum_D += rows_TD.mean(0)
            products_DD += rows_TD.T @ rows_TD / len(rows_TD)
        return cls(len(videos), sum_D, products_DD)

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(
            self.weight + other.weight,
            self.sum_D + other.sum_D,
            self.products_DD + other.products_DD,
        )

    def __sub__(self, other: _Moments) -> _Moments:
        return _Moments(
            self.weight - other.weight,
            self.sum_D - other.sum_D,
            self.products_DD - other.products_DD,
        )

    def components(self) -> _Components:
        mean_D = self.sum_D / self.weight
        covariance_DD = self.products_DD / self.weight - np.outer(mean_D, mean_D)
        variances_D, vectors_DD = np.linalg.eigh(covariance_DD)
        floor = max(MIN_VARIANCE_SHARE * float(variances_D.mean()), MIN_VARIANCE)
        variances_D = np.maximum(variances_D, floor)
        count = min(MAX_COMPONENTS, len(mean_D) // 2)
        kept = slice(len(mean_D) - count, None)
        residual = float(variances_D[: len(mean_D) - count].mean())
        return _Components(mean_D, vectors_DD[:, kept].T, variances_D[kept], residual)
