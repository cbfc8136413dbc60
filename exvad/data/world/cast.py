"""The people and cars of a scene, and how they are drawn at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from exvad.data.world.paint import CLOTHES, MASK, SKIN, Brush, Point, Pose

CAR_LENGTH = 1.25  # in heights of a person


@dataclass(frozen=True)
class Cast:
    """The people and cars of an activity, and their position on the canvas.

    Args:
        shirts: two different clothes colours.
        cars: two different car colours.
        x: canvas column of the action's centre.
        y: canvas row of the people's feet.
        height: height of a person in canvas units.
        facing: 1 if the first person looks right, -1 if left.
    """

    shirts: tuple[str, str]
    cars: tuple[str, str]
    x: float
    y: float
    height: float
    facing: int

    @property
    def first(self) -> str:
        """The first person in the words of a caption."""
        return f"a person in {self.shirts[0]}"

    @property
    def second(self) -> str:
        """The second person in the words of a caption."""
        return f"a person in {self.shirts[1]}"


@dataclass(frozen=True)
class Moment:
    """One moment of an activity.

    Args:
        cast: the people and cars.
        time: seconds since the start of the video.
        progress: elapsed share of the activity, 0 to 1.
    """

    cast: Cast
    time: float
    progress: float

    def person(
        self,
        brush: Brush,
        index: int,
        dx: float,
        pose: Pose,
        turned: bool = False,
        masked: bool = False,
    ) -> Point:
        """Draw a person and return the position of the front hand.

        Args:
            brush: draws on the frame.
            index: 0 for the first person, 1 for the second.
            dx: distance from the centre in heights of a person, forward positive.
            pose: the joint angles.
            turned: the person looks the other way.
            masked: the face is covered.
        """
        cast = self.cast
        facing = -cast.facing if turned else cast.facing
        x = cast.x + cast.facing * dx * cast.height
        shirt = CLOTHES[cast.shirts[index]]
        face = MASK if masked else SKIN
        return brush.person(x, cast.y, cast.height, shirt, pose, facing, face)

    def car(self, brush: Brush, index: int, dx: float, tilt: float = 0) -> None:
        """Draw a car.

        Args:
            brush: draws on the frame.
            index: 0 for the first car, 1 for the second.
            dx: distance from the centre in car lengths, forward positive.
            tilt: degrees.
        """
        cast = self.cast
        length = cast.height * CAR_LENGTH
        x = cast.x + cast.facing * dx * length
        brush.car(x, cast.y, length, CLOTHES[cast.cars[index]], tilt * cast.facing)
