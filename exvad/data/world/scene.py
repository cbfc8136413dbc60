"""A scene of the demo world: a static camera, a cast, and a sequence of activities.

The seed alone determines a scene, and every frame can be rendered independently of the others.

H, W pixels · C colours
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np

from exvad.data.world.activities import ACTIVITIES, NORMAL, Activity, possible_activities
from exvad.data.world.cast import Cast, Moment
from exvad.data.world.paint import CLOTHES, HEIGHT, WIDTH, Brush, walking
from exvad.data.world.places import Place, PlaceName

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

STRIDE = 16
NOISE_TILES = 8
MIN_EVENT, MAX_EVENT = 6 * STRIDE, 12 * STRIDE  # frames
MIN_SNIPPETS = 11


@dataclass(frozen=True)
class Segment:
    """One activity of a scene, in the frames start ≤ f < end."""

    start: int
    end: int
    activity: Activity
    cast: Cast


@dataclass(frozen=True)
class Passerby:
    """A person who crosses the background; not part of any activity."""

    start: int
    frames: int
    y: float
    height: float
    shirt: str
    facing: int


class _Layout(NamedTuple):
    """What the seed of a scene determines."""

    place: Place
    segments: tuple[Segment, ...]
    passersby: tuple[Passerby, ...]
    num_frames: int


@dataclass(frozen=True)
class Scene:
    """One video of the demo world.

    Args:
        seed: determines everything about the scene.
        label: the class of its anomaly, or the normal class.
        min_snippets: minimum length in snippets of 16 frames, at least 11.
        max_snippets: maximum length in snippets.
    """

    seed: int
    label: str = NORMAL
    min_snippets: int = 20
    max_snippets: int = 32
    fps: float = field(default=10.0, init=False)

    def __reduce__(self) -> tuple[type[Scene], tuple[int, str, int, int]]:
        # Everything else follows from the seed; pickles stay small.
        return Scene, (self.seed, self.label, self.min_snippets, self.max_snippets)

    def __post_init__(self) -> None:
        assert self.min_snippets >= MIN_SNIPPETS, (
            "an anomaly needs normal frames before and after it"
        )

    @cached_property
    def _layout(self) -> _Layout:
        rng = np.random.default_rng([self.seed, 17])
        names = [name for name in get_args(PlaceName) if possible_activities(self.label, name)]
        place = Place(names[rng.integers(len(names))], bool(rng.random() < 0.4), int(self.seed))
        snippets = int(rng.integers(self.min_snippets, self.max_snippets + 1))
        num_frames = snippets * STRIDE - int(rng.integers(STRIDE))
        segments = tuple(_segments(rng, place, self.label, num_frames))
        passersby = tuple(_passersby(rng, place, num_frames))
        return _Layout(place, segments, passersby, num_frames)

    @property
    def place(self) -> Place:
        """The place that the camera shows."""
        return self._layout.place

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The activities, in order and without gaps."""
        return self._layout.segments

    @property
    def num_frames(self) -> int:
        """Number of frames of the video."""
        return self._layout.num_frames

    @property
    def events(self) -> list[tuple[int, int, str]]:
        """The anomalies as half-open `(start, end, class)` in frames."""
        return [
            (segment.start, segment.end, segment.activity.label)
            for segment in self.segments
            if segment.activity.label != NORMAL
        ]

    def segment(self, frame: int) -> Segment:
        """Return the activity at a frame."""
        assert 0 <= frame < self.num_frames, f"frame {frame} of {self.num_frames}"
        return next(segment for segment in self.segments if frame < segment.end)

    def caption(self, frame: int) -> str:
        """Return the ground-truth caption of a frame."""
        segment = self.segment(frame)
        return f"{segment.activity.caption(segment.cast)} {self.place.phrase}"

    def render(self, frame: int) -> NDArray[np.uint8]:
        """Render one frame.

        Args:
            frame: index, 0 ≤ frame < num_frames.

        Returns:
            RGB, uint8 [120, 160, 3].
        """
        clear_HWC = np.asarray(self._compose(frame).reduce(2), dtype=np.int16)
        noisy_HWC = clear_HWC + self._noise[(frame * 5) % NOISE_TILES]
        frame_HWC: NDArray[np.uint8] = noisy_HWC.clip(0, 255).astype(np.uint8)
        return frame_HWC

    def action_mask(self, frame: int) -> NDArray[np.bool_]:
        """Return the pixels that the activity of a frame changes, bool [120, 160]."""
        with_HWC = np.asarray(self._compose(frame).reduce(2), dtype=np.int16)
        without_HWC = np.asarray(
            self._compose(frame, with_activity=False).reduce(2), dtype=np.int16
        )
        mask_HW: NDArray[np.bool_] = np.abs(with_HWC - without_HWC).max(2) > 12
        return mask_HW

    def _compose(self, frame: int, with_activity: bool = True) -> Image.Image:
        from PIL import ImageDraw

        image = self._background.copy()
        brush = Brush(ImageDraw.Draw(image, "RGBA"))
        for passerby in self._layout.passersby:
            _draw_passerby(brush, passerby, frame, self.fps)
        if not with_activity:
            return self.place.darken(image)
        segment = self.segment(frame)
        progress = (frame - segment.start) / (segment.end - segment.start)
        moment = Moment(segment.cast, frame / self.fps, progress)
        segment.activity.draw(brush, moment)
        image = self.place.darken(image)
        segment.activity.draw_lights(Brush(ImageDraw.Draw(image, "RGBA")), moment)
        return image

    @cached_property
    def _background(self) -> Image.Image:
        return self.place.paint()

    @cached_property
    def _noise(self) -> NDArray[np.int16]:
        rng = np.random.default_rng([self.seed, 23])
        strength = 7 if self.place.night else 4
        shape = (NOISE_TILES, HEIGHT // 2, WIDTH // 2, 1)
        return rng.normal(0, strength, shape).astype(np.int16)


def _segments(rng: np.random.Generator, place: Place, label: str, num_frames: int) -> list[Segment]:
    """Draw two or three normal activities, or an anomaly between two normal ones."""
    cast = _cast(rng, place)
    if label == NORMAL:
        cuts = sorted(
            int(num_frames * share) for share in rng.uniform(0.2, 0.8, rng.integers(1, 3))
        )
        labels = [NORMAL] * (len(cuts) + 1)
    else:
        limit = max(MIN_EVENT + 1, min(MAX_EVENT, num_frames // 2))
        length = int(rng.integers(MIN_EVENT, limit))
        start = int(rng.integers(2 * STRIDE, num_frames - length - STRIDE))
        cuts = [start, start + length]
        labels = [NORMAL, label, NORMAL]
    bounds = [0, *cuts, num_frames]
    segments = []
    for start, end, segment_label in zip(bounds, bounds[1:], labels, strict=False):
        if end > start:
            choices = possible_activities(segment_label, place.name)
            activity = ACTIVITIES[choices[rng.integers(len(choices))]]
            segments.append(Segment(start, end, activity, cast))
            cast = _moved(rng, cast)
    return segments


def _cast(rng: np.random.Generator, place: Place) -> Cast:
    shirts = rng.permutation(list(CLOTHES))
    cars = rng.permutation(list(CLOTHES))
    return Cast(
        shirts=(str(shirts[0]), str(shirts[1])),
        cars=(str(cars[0]), str(cars[1])),
        x=float(rng.uniform(108, WIDTH - 108)),
        y=float(rng.uniform(place.horizon + 36, HEIGHT - 32)),
        height=float(rng.uniform(92, 120)),
        facing=1 if rng.random() < 0.5 else -1,
    )


def _moved(rng: np.random.Generator, cast: Cast) -> Cast:
    """Return the same people and cars at a position nearby."""
    x = float(np.clip(cast.x + rng.uniform(-40, 40), 104, WIDTH - 104))
    facing = 1 if rng.random() < 0.5 else -1
    return Cast(cast.shirts, cast.cars, x, cast.y, cast.height, facing)


def _passersby(rng: np.random.Generator, place: Place, num_frames: int) -> list[Passerby]:
    return [
        Passerby(
            start=int(rng.integers(num_frames)),
            frames=int(rng.integers(60, 140)),
            y=float(rng.uniform(place.horizon + 8, place.horizon + 24)),
            height=float(rng.uniform(38, 50)),
            shirt=str(rng.choice(list(CLOTHES))),
            facing=1 if rng.random() < 0.5 else -1,
        )
        for _ in range(int(rng.integers(0, 4)))
    ]


def _draw_passerby(brush: Brush, passerby: Passerby, frame: int, fps: float) -> None:
    share = (frame - passerby.start) / passerby.frames
    if 0 <= share < 1:
        x = share * (WIDTH + 60) - 30
        x = x if passerby.facing > 0 else WIDTH - x
        pose = walking(frame / fps * 1.2)
        shirt = CLOTHES[passerby.shirt]
        brush.person(x, passerby.y, passerby.height, shirt, pose, passerby.facing)
