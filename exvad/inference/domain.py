"""The domain of a checkpoint: how far the features of a video lie from those of training.

A network answers about any features, and most confidently about some that are unlike all it was
trained on. So a checkpoint keeps where the profiles of its training videos lie
(`exvad.inference.feature_profile`). The profile of a video is the median of those of its snippets.
Its distance is the root mean square of its differences from the mean of the training videos, each
in standard deviations: too little counts like too much. The limit is a quantile of the distances of
training videos, each measured by the statistics of the others. The test split is never used.

N videos · T snippets · D feature width · P numbers of a profile · L lengths of stretches
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view

from exvad.inference.feature_profile import FeatureSpace, Moments
from exvad.results import DomainCheck

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_VIDEOS = 20  # fewer give no quantile of their distances worth the name
FOLDS = 5
LIMIT = 0.99  # of the training videos are within the limit
STRETCHES = (1, 2, 4, 8, 16, 32)  # snippets; a stream is judged before it is long
PREFIX = "domain."  # of the tensors in a checkpoint
SPACE, TYPICAL = f"{PREFIX}space.", f"{PREFIX}typical."
LIMITS, VIDEOS = f"{PREFIX}limits_L", f"{PREFIX}videos"
MIN_DEVIATION = 1e-3  # of a number that is the same in all training videos
MIN_LIMIT = 1e-3  # of training videos that are all equal


@dataclass(frozen=True, eq=False)
class TypicalProfile:
    """Where the profiles of training videos lie.

    Args:
        centre_P: their mean; float32.
        deviation_P: their standard deviation; float32.
    """

    centre_P: NDArray[np.float32]
    deviation_P: NDArray[np.float32]

    @classmethod
    def of(cls, profiles_NP: NDArray[np.float64]) -> TypicalProfile:
        """Compute it from the profiles of videos."""
        deviation_P = np.maximum(profiles_NP.std(0), MIN_DEVIATION)
        return cls(profiles_NP.mean(0).astype(np.float32), deviation_P.astype(np.float32))

    def distances(self, profiles_NP: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distance of each profile, [N]; about 1 for those of training."""
        scaled_NP = (profiles_NP - self.centre_P) / self.deviation_P
        distances_N: NDArray[np.float64] = np.sqrt((scaled_NP**2).mean(1))
        return distances_N


@dataclass(frozen=True, eq=False)
class Domain:
    """Statistics of the image features that a checkpoint's network was trained on.

    Args:
        space: mean and principal components of the features.
        typical: where the profiles of the training videos lie.
        limits_L: the distance that 99 % of the training videos do not exceed in any stretch of 1,
            2, 4, 8, 16 and 32 snippets, and as a whole; float32.
        videos: number of training videos; int64, one number.
    """

    space: FeatureSpace
    typical: TypicalProfile
    limits_L: NDArray[np.float32]
    videos: NDArray[np.int64]

    @property
    def limit(self) -> float:
        """The distance that 99 % of the training videos do not exceed."""
        return float(self.limits_L[-1])

    def stretch_limit(self, snippets: int) -> float:
        """Return the distance that no stretch of 99 % of the training videos exceeds.

        A few snippets vary more than a whole video, and may show nothing but an incident.

        Args:
            snippets: length of the stretch, at least 1; that of the next shorter one counts.
        """
        index = int(np.searchsorted(STRETCHES, snippets, side="right")) - 1
        return float(self.limits_L[index])

    def profiles(self, visual_TD: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the profile of each snippet, [T, P]; see `FeatureSpace.profiles`.

        Args:
            visual_TD: image features.
        """
        return self.space.profiles(visual_TD)

    def check(
        self, profiles_TP: NDArray[np.float64], about: str = "", *, stretch: bool = False
    ) -> DomainCheck:
        """Return whether snippets of one video, or of one stretch of a stream, lie outside.

        Args:
            profiles_TP: their profiles, at least one.
            about: a sentence about the checkpoint, part of the notice.
            stretch: whether the snippets are a stretch of a stream; else they are a whole video.
        """
        limit = self.stretch_limit(len(profiles_TP)) if stretch else self.limit
        distance = float(self.typical.distances(_middle(profiles_TP)[None])[0]) / limit
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
        arrays = {
            **{f"{SPACE}{name}": array for name, array in vars(self.space).items()},
            **{f"{TYPICAL}{name}": array for name, array in vars(self.typical).items()},
            LIMITS: self.limits_L,
            VIDEOS: self.videos,
        }
        # Copies: arrays that come from Ray can't be written to, and torch warns of such.
        return {name: torch.tensor(array) for name, array in arrays.items()}


def pop_domain(tensors: dict[str, torch.Tensor]) -> Domain | None:
    """Remove the statistics from the tensors of a checkpoint and return them.

    Args:
        tensors: name → tensor; those of `Domain.to_tensors` are removed.

    Returns:
        None if there are none, or only those of an earlier measure.

    Raises:
        KeyError: some of them are missing.
    """
    stored = {name: tensors.pop(name).numpy() for name in list(tensors) if name.startswith(PREFIX)}
    if not any(name.startswith((SPACE, TYPICAL)) for name in stored):
        return None

    def read(prefix: str, section: type) -> dict[str, NDArray[np.float32]]:
        return {item.name: stored[f"{prefix}{item.name}"] for item in fields(section)}

    return Domain(
        FeatureSpace(**read(SPACE, FeatureSpace)),
        TypicalProfile(**read(TYPICAL, TypicalProfile)),
        stored[LIMITS],
        stored[VIDEOS],
    )


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
    return domain.check(domain.profiles(visual_TD), about)


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

    Every video has the same weight, however long it is. The profiles and the distances come from
    five folds, because videos lie nearer to statistics that they are part of than unseen videos do.

    Args:
        videos: image features [T, D] of each training video, or of a sample of its snippets; in
            order of time.

    Returns:
        None for fewer than 20 videos.
    """
    if len(videos) < MIN_VIDEOS:
        return None
    moments = [Moments.of(videos[fold::FOLDS]) for fold in range(FOLDS)]
    whole = sum(moments[1:], moments[0])
    spaces = [(whole - moments[fold]).space() for fold in range(FOLDS)]
    profiles = [spaces[row % FOLDS].profiles(visual_TD) for row, visual_TD in enumerate(videos)]
    middles_NP = np.stack([_middle(profiles_TP) for profiles_TP in profiles])
    others = [
        TypicalProfile.of(np.delete(middles_NP, slice(fold, None, FOLDS), axis=0))
        for fold in range(FOLDS)
    ]
    distances_NL = [
        _largest_distances(profiles_TP, others[row % FOLDS])
        for row, profiles_TP in enumerate(profiles)
    ]
    limits_L = np.maximum(np.quantile(distances_NL, LIMIT, axis=0), MIN_LIMIT)
    # A longer stretch has no larger limit, so that a stream is not outside by its length.
    limits_L = np.maximum.accumulate(limits_L[::-1])[::-1]
    return Domain(
        whole.space(),
        TypicalProfile.of(middles_NP),
        np.ascontiguousarray(limits_L, np.float32),
        np.array(len(videos)),
    )


def _middle(profiles_TP: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the profile of a video, [P], on which a short event has no influence."""
    middle_P: NDArray[np.float64] = np.median(profiles_TP, axis=0)
    return middle_P


def _largest_distances(profiles_TP: NDArray[np.float64], others: TypicalProfile) -> list[float]:
    """Return the largest distance of any stretch of each length, and that of the whole, [L]."""
    largest = []
    for length in (*STRETCHES, len(profiles_TP)):
        windows = sliding_window_view(profiles_TP, min(length, len(profiles_TP)), axis=0)
        largest.append(float(others.distances(np.median(windows, axis=-1)).max()))
    return largest
