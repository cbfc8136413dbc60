"""What can happen in the demo world: each activity knows how to draw itself and how to say itself.

Anomalies have several appearances each, and every one has a normal look-alike: people who talk, hug
or shake hands for Fighting, a phone shown or a bill paid for Robbery, cars that pass closely for
RoadAccidents, a grill for Arson, glaring headlights for Explosion, cleaning for Vandalism.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from exvad.data.world.paint import (
    CLOTHES,
    MASK,
    SKIN,
    Brush,
    Pose,
    punching,
    raised,
    reeling,
    talking,
    walking,
)
from exvad.data.world.places import OUTDOORS, Place, PlaceName

NORMAL = "Normal"
IRON = (40, 40, 42)
CAR_LENGTH = 1.25
CLASSES = (NORMAL, "Arson", "Explosion", "Fighting", "RoadAccidents", "Robbery", "Vandalism")


@dataclass(frozen=True)
class Cast:
    """Who and what an activity happens to, and where on the canvas.

    Args:
        shirts: two different clothes colours.
        cars: two different car colours.
        x: canvas column of the action's centre.
        y: canvas row on which people stand.
        height: height of a person in canvas units.
        facing: 1 where the first person looks right, -1 left.
    """

    shirts: tuple[str, str]
    cars: tuple[str, str]
    x: float
    y: float
    height: float
    facing: int

    @property
    def one(self) -> str:
        """The first person, as captions say it."""
        return f"a person in {self.shirts[0]}"

    @property
    def two(self) -> str:
        """The second person, as captions say it."""
        return f"a person in {self.shirts[1]}"


@dataclass(frozen=True)
class Moment:
    """One instant of an activity: who, where, `time` in seconds, and `progress` from 0 to 1."""

    cast: Cast
    place: Place
    time: float
    progress: float

    def person(
        self,
        brush: Brush,
        which: int,
        dx: float,
        pose: Pose,
        turned: bool = False,
        masked: bool = False,
    ) -> tuple[float, float]:
        """Draw a person of the cast `dx` heights beside the centre; return the front hand."""
        cast = self.cast
        facing = -cast.facing if turned else cast.facing
        x = cast.x + cast.facing * dx * cast.height
        shirt = CLOTHES[cast.shirts[which]]
        face = MASK if masked else SKIN
        return brush.person(x, cast.y, cast.height, shirt, pose, facing, face)

    def car(self, brush: Brush, which: int, dx: float, tilt: float = 0) -> None:
        """Draw a car of the cast `dx` car lengths beside the centre."""
        cast = self.cast
        length = cast.height * CAR_LENGTH
        x = cast.x + cast.facing * dx * length
        brush.car(x, cast.y, length, CLOTHES[cast.cars[which]], tilt * cast.facing)


Painter = Callable[[Brush, Moment], None]


def _nothing(brush: Brush, moment: Moment) -> None:
    """Draw nothing: most activities give no light of their own."""


@dataclass(frozen=True)
class Activity:
    """Something that happens for a while.

    Args:
        label: its class.
        says: the caption's clause about a cast.
        paint: draws it in the light of the place.
        lights: draws what shines by itself, after darkness has fallen.
        places: where it can happen; empty for everywhere.
    """

    label: str
    says: Callable[[Cast], str]
    paint: Painter
    lights: Painter = _nothing
    places: tuple[PlaceName, ...] = ()


def _walk(brush: Brush, m: Moment) -> None:
    step = (m.progress - 0.5) * 1.7
    m.person(brush, 0, step, walking(m.time))


def _pass_by(brush: Brush, m: Moment) -> None:
    step = (m.progress - 0.5) * 1.7
    m.person(brush, 1, -step + 0.2, walking(m.time + 0.3), turned=True)
    m.person(brush, 0, step, walking(m.time))


def _talk(brush: Brush, m: Moment) -> None:
    m.person(brush, 1, 0.34, talking(m.time + 1.1), turned=True)
    m.person(brush, 0, -0.34, talking(m.time))


def _shake_hands(brush: Brush, m: Moment) -> None:
    arm = 62 + 8 * math.sin(m.time * 8)
    m.person(brush, 1, 0.33, raised(Pose(), arm, -6), turned=True)
    m.person(brush, 0, -0.33, raised(Pose(), arm, -6))


def _hug(brush: Brush, m: Moment) -> None:
    sway = 2 * math.sin(m.time * 2)
    m.person(brush, 1, 0.15, Pose(74, 66, 4, -4, 7 + sway), turned=True)
    m.person(brush, 0, -0.15, Pose(80, 70, 4, -4, 7 - sway))


def _pay(brush: Brush, m: Moment) -> None:
    m.person(brush, 1, 0.42, talking(m.time), turned=True)
    x, y = m.person(brush, 0, -0.42, raised(Pose(), 70 + 5 * math.sin(m.time * 2), -8))
    brush.box(x - 3, y - 2, x + 7, y + 3, (130, 190, 130))


def _show_phone(brush: Brush, m: Moment) -> None:
    m.person(brush, 1, 0.44, Pose(lean=4), turned=True)
    x, y = m.person(brush, 0, -0.4, raised(Pose(), 84 + 4 * math.sin(m.time * 2), -8))
    brush.box(x - 2, y - 7, x + 3, y + 4, (22, 22, 30))


def _clean(brush: Brush, m: Moment) -> None:
    arm = 122 + 26 * math.sin(m.time * 3)
    x, y = m.person(brush, 0, 0, raised(Pose(), arm, -10))
    brush.box(x - 6, y - 6, x + 6, y + 5, (236, 236, 226))


def _poster(brush: Brush, m: Moment) -> None:
    m.person(brush, 0, 0, raised(Pose(), 128 + 5 * math.sin(m.time * 2), 112))
    h, x = m.cast.height, m.cast.x + m.cast.facing * m.cast.height * 0.34
    brush.box(x - 0.2 * h, m.cast.y - 1.2 * h, x + 0.2 * h, m.cast.y - 0.75 * h, (240, 232, 196))


def _grill(brush: Brush, m: Moment) -> None:
    high, x = m.cast.height, m.cast.x + m.cast.facing * 0.2 * m.cast.height
    brush.box(x - 0.3 * high, m.cast.y - 0.42 * high, x + 0.3 * high, m.cast.y - 0.3 * high, IRON)
    brush.box(x - 0.03 * high, m.cast.y - 0.3 * high, x + 0.03 * high, m.cast.y, IRON)
    m.person(brush, 0, -0.35, raised(Pose(), 66 + 8 * math.sin(m.time * 3), -8))
    brush.smoke(x, m.cast.y - 0.45 * high, high * 0.5, m.time, dark=170)


def _grill_lights(brush: Brush, m: Moment) -> None:
    high, x = m.cast.height, m.cast.x + m.cast.facing * 0.2 * m.cast.height
    brush.fire(x, m.cast.y - 0.42 * high, high * 0.22, m.time)


def _drive(brush: Brush, m: Moment) -> None:
    m.car(brush, 0, (m.progress - 0.5) * 1.4)


def _cars_meet(brush: Brush, m: Moment) -> None:
    step = (m.progress - 0.5) * 1.1
    m.car(brush, 1, 0.25 - step)
    m.car(brush, 0, -0.25 + step)


def _parked(brush: Brush, m: Moment) -> None:
    m.car(brush, 1, 0.66)
    m.car(brush, 0, -0.66)


def _headlights_lights(brush: Brush, m: Moment) -> None:
    length = m.cast.height * CAR_LENGTH
    pulse = 1 + 0.15 * math.sin(m.time * 2)
    brush.glow(m.cast.x + m.cast.facing * 0.5 * length, m.cast.y, length * 0.5 * pulse)


def _one_car(brush: Brush, m: Moment) -> None:
    m.car(brush, 0, 0)


def _burning_car_lights(brush: Brush, m: Moment) -> None:
    size = m.cast.height * (0.3 + 0.8 * min(1.0, m.progress * 1.6))
    brush.fire(m.cast.x, m.cast.y - 0.1 * m.cast.height, size, m.time)
    brush.smoke(m.cast.x, m.cast.y - size, m.cast.height * (0.5 + 0.6 * m.progress), m.time)


def _arsonist_and_car(brush: Brush, m: Moment) -> None:
    m.car(brush, 0, 0)
    m.person(brush, 0, -1.15, raised(Pose(lean=8), 58, -20))


def _arsonist_and_bin(brush: Brush, m: Moment) -> None:
    high = m.cast.height
    x = m.cast.x + m.cast.facing * 0.5 * high
    brush.box(x - 0.2 * high, m.cast.y - 0.45 * high, x + 0.2 * high, m.cast.y, (66, 84, 70))
    m.person(brush, 0, -0.25, raised(Pose(lean=8), 60, -20))


def _burning_bin_lights(brush: Brush, m: Moment) -> None:
    high = m.cast.height
    x = m.cast.x + m.cast.facing * 0.5 * high
    size = high * (0.25 + 0.6 * min(1.0, m.progress * 1.6))
    brush.fire(x, m.cast.y - 0.42 * high, size, m.time)
    brush.smoke(x, m.cast.y - 0.4 * high - size, high * 0.6, m.time)


def _car_wreck(brush: Brush, m: Moment) -> None:
    m.car(brush, 0, 0, tilt=14 * min(1.0, m.progress * 4))


def _blast_lights(brush: Brush, m: Moment) -> None:
    brush.blast(m.cast.x, m.cast.y - 0.3 * m.cast.height, m.cast.height * 0.75, m.progress, m.time)


def _punch(brush: Brush, m: Moment) -> None:
    m.person(brush, 1, 0.3, punching(m.time + 0.35, kick=False), turned=True)
    m.person(brush, 0, -0.3, punching(m.time, kick=False))
    _scuffle(brush, m)


def _kick(brush: Brush, m: Moment) -> None:
    m.person(brush, 1, 0.34, reeling(14 * math.sin(m.time * 5)), turned=True)
    m.person(brush, 0, -0.4, punching(m.time, kick=True))
    _scuffle(brush, m)


def _beat_down(brush: Brush, m: Moment) -> None:
    cast = m.cast
    x = cast.x + cast.facing * 0.3 * cast.height
    brush.lying(x, cast.y - 4, cast.height, CLOTHES[cast.shirts[1]])
    m.person(brush, 0, -0.4, punching(m.time, kick=False))
    _scuffle(brush, m)


def _scuffle(brush: Brush, m: Moment) -> None:
    brush.dust(m.cast.x, m.cast.y + 2, m.cast.height, m.time)


def _crash(brush: Brush, m: Moment) -> None:
    jolt = min(1.0, m.progress * 8)
    m.car(brush, 1, 0.34, tilt=-26 * jolt)
    m.car(brush, 0, -0.34, tilt=24 * jolt)
    brush.smoke(m.cast.x, m.cast.y - 10, m.cast.height * 1.1 * jolt, m.time, dark=205)
    for piece in range(9):
        x = m.cast.x + (piece - 4) * 13 * jolt
        brush.disc((x, m.cast.y + 16 + 4 * (piece % 3)), 3.2, (222, 228, 232))


def _run_over(brush: Brush, m: Moment) -> None:
    cast = m.cast
    m.car(brush, 0, -0.55, tilt=4)
    x = cast.x + cast.facing * 0.6 * cast.height
    brush.lying(x, cast.y + 10, cast.height, CLOTHES[cast.shirts[0]])
    brush.dust(cast.x, cast.y + 12, cast.height, m.time)


def _hold_up(brush: Brush, m: Moment) -> None:
    shake = 4 * math.sin(m.time * 9)
    m.person(brush, 1, 0.52, Pose(142 + shake, -142 - shake, lean=-6), turned=True)
    x, y = m.person(brush, 0, -0.46, raised(Pose(), 90, 78), masked=True)
    f = m.cast.facing
    brush.draw.line([(x, y), (x + f * 18, y)], (14, 14, 16), 5)
    brush.draw.line([(x + f * 3, y), (x + f * 3, y + 9)], (14, 14, 16), 4)


def _snatch(brush: Brush, m: Moment) -> None:
    pull = 0.06 * math.sin(m.time * 7)
    m.person(brush, 1, 0.46 + pull, Pose(70, 84, 30, -14, -22), turned=True)
    x, y = m.person(brush, 0, -0.46 + pull, Pose(72, 88, 30, -24, -22), masked=True)
    brush.box(x - 9, y - 4, x + 11, y + 15, (124, 74, 38))


def _spray(brush: Brush, m: Moment) -> None:
    high, f = m.cast.height, m.cast.facing
    wall = (m.cast.x + f * 0.75 * high, m.cast.y - 0.8 * high)
    paint = CLOTHES[m.cast.cars[0]]
    brush.graffiti(*wall, high * 0.7, 0.25 + m.progress, paint)
    x, y = m.person(brush, 0, -0.05, raised(Pose(), 104 + 18 * math.sin(m.time * 2.4), -10))
    brush.disc((x + f * 9, y), 6, (*paint, 120))


def _smash(brush: Brush, m: Moment) -> None:
    high, f = m.cast.height, m.cast.facing
    x, y = m.cast.x + f * 0.62 * high, m.cast.y - 0.78 * high
    brush.box(x - 0.34 * high, y - 0.4 * high, x + 0.34 * high, y + 0.4 * high, (112, 138, 158))
    brush.cracks(x, y, high * 0.42, min(1.0, 0.4 + m.progress))
    swing = 96 + 44 * math.sin(m.time * 6)
    hand = m.person(brush, 0, -0.2, raised(Pose(lean=6), swing, 30))
    brush.draw.line([hand, (hand[0] + f * 12, hand[1] - 10)], (80, 60, 40), 4)


ROADS: tuple[PlaceName, ...] = ("street", "car park")
WALLS: tuple[PlaceName, ...] = ("street", "shop", "car park", "station", "corridor")

ACTIVITIES: dict[str, Activity] = {
    "walk": Activity(NORMAL, lambda c: f"{c.one} walks", _walk),
    "pass by": Activity(NORMAL, lambda c: f"{c.one} and {c.two} walk past each other", _pass_by),
    "talk": Activity(NORMAL, lambda c: f"{c.one} and {c.two} talk", _talk),
    "shake hands": Activity(NORMAL, lambda c: f"{c.one} shakes hands with {c.two}", _shake_hands),
    "hug": Activity(NORMAL, lambda c: f"{c.one} hugs {c.two}", _hug),
    "pay": Activity(NORMAL, lambda c: f"{c.one} pays {c.two}", _pay, places=("shop", "street")),
    "show phone": Activity(NORMAL, lambda c: f"{c.one} shows a phone to {c.two}", _show_phone),
    "clean": Activity(NORMAL, lambda c: f"{c.one} cleans the wall", _clean, places=WALLS),
    "poster": Activity(NORMAL, lambda c: f"{c.one} puts up a poster", _poster, places=WALLS),
    "grill": Activity(
        NORMAL, lambda c: f"{c.one} grills food", _grill, _grill_lights, places=OUTDOORS
    ),
    "drive": Activity(NORMAL, lambda c: f"a {c.cars[0]} car drives past", _drive, places=ROADS),
    "cars meet": Activity(
        NORMAL,
        lambda c: f"a {c.cars[0]} car passes a {c.cars[1]} car",
        _cars_meet,
        places=ROADS,
    ),
    "parked": Activity(
        NORMAL,
        lambda c: f"a {c.cars[0]} car is parked beside a {c.cars[1]} car",
        _parked,
        places=ROADS,
    ),
    "headlights": Activity(
        NORMAL,
        lambda c: f"a {c.cars[0]} car shines its headlights",
        _one_car,
        _headlights_lights,
        places=ROADS,
    ),
    "burn car": Activity(
        "Arson",
        lambda c: f"{c.one} sets fire to a {c.cars[0]} car",
        _arsonist_and_car,
        _burning_car_lights,
        places=ROADS,
    ),
    "burn bin": Activity(
        "Arson", lambda c: f"{c.one} sets fire to a bin", _arsonist_and_bin, _burning_bin_lights
    ),
    "car bomb": Activity(
        "Explosion",
        lambda c: f"a {c.cars[0]} car explodes",
        _car_wreck,
        _blast_lights,
        places=ROADS,
    ),
    "blast": Activity(
        "Explosion", lambda _: "a blast throws fire and smoke into the air", _nothing, _blast_lights
    ),
    "punch": Activity("Fighting", lambda c: f"{c.one} punches {c.two}", _punch),
    "kick": Activity("Fighting", lambda c: f"{c.one} kicks {c.two}", _kick),
    "beat down": Activity("Fighting", lambda c: f"{c.one} beats {c.two} on the ground", _beat_down),
    "crash": Activity(
        "RoadAccidents",
        lambda c: f"a {c.cars[0]} car crashes into a {c.cars[1]} car",
        _crash,
        places=ROADS,
    ),
    "run over": Activity(
        "RoadAccidents", lambda c: f"a {c.cars[0]} car hits {c.one}", _run_over, places=ROADS
    ),
    "hold up": Activity("Robbery", lambda c: f"{c.one} points a gun at {c.two}", _hold_up),
    "snatch": Activity("Robbery", lambda c: f"{c.one} tears a bag from {c.two}", _snatch),
    "spray": Activity(
        "Vandalism", lambda c: f"{c.one} sprays paint on the wall", _spray, places=WALLS
    ),
    "smash": Activity("Vandalism", lambda c: f"{c.one} smashes a window", _smash, places=WALLS),
}


def possible(label: str, place: PlaceName) -> list[str]:
    """Return the names of the activities of a class that can happen in a kind of place."""
    return [
        name
        for name, activity in ACTIVITIES.items()
        if activity.label == label and (not activity.places or place in activity.places)
    ]
