"""The activities of the demo world: each one with its class, its caption and its drawing.

Every class of anomaly has several appearances, and each of them a normal look-alike: people who
talk, hug or shake hands for Fighting, a phone shown or a bill paid for Robbery, cars that pass
closely for RoadAccidents, a grill for Arson, glaring headlights for Explosion, cleaning for
Vandalism.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exvad.data.world.cast import Cast, Moment
from exvad.data.world.draw_abnormal import (
    arsonist_and_bin,
    arsonist_and_car,
    beat_down,
    blast,
    burning_bin,
    burning_car,
    car_wreck,
    crash,
    hold_up,
    kick,
    punch,
    run_over,
    smash,
    snatch,
    spray,
)
from exvad.data.world.draw_normal import (
    car_alone,
    cars_meet,
    clean,
    drive,
    grill,
    grill_fire,
    headlights,
    hug,
    parked_cars,
    pass_by,
    pay,
    put_up_poster,
    shake_hands,
    show_phone,
    talk,
    walk,
)
from exvad.data.world.paint import Brush
from exvad.data.world.places import OUTDOORS, PlaceName

NORMAL = "Normal"
CLASSES = (NORMAL, "Arson", "Explosion", "Fighting", "RoadAccidents", "Robbery", "Vandalism")

Drawing = Callable[[Brush, Moment], None]


def _draw_nothing(brush: Brush, moment: Moment) -> None:
    """Draw nothing: most activities emit no light of their own."""


@dataclass(frozen=True)
class Activity:
    """An activity that lasts for a while.

    Args:
        label: its class.
        caption: returns the caption's clause about a cast.
        draw: draws the activity in the light of the place.
        draw_lights: draws what emits light, after the place is darkened.
        places: where it can happen; empty for everywhere.
    """

    label: str
    caption: Callable[[Cast], str]
    draw: Drawing
    draw_lights: Drawing = _draw_nothing
    places: tuple[PlaceName, ...] = ()


_ROADS: tuple[PlaceName, ...] = ("street", "car park")
_WALLS: tuple[PlaceName, ...] = ("street", "shop", "car park", "station", "corridor")

ACTIVITIES: dict[str, Activity] = {
    "walk": Activity(NORMAL, lambda c: f"{c.first} walks", walk),
    "pass by": Activity(
        NORMAL, lambda c: f"{c.first} and {c.second} walk past each other", pass_by
    ),
    "talk": Activity(NORMAL, lambda c: f"{c.first} and {c.second} talk", talk),
    "shake hands": Activity(
        NORMAL, lambda c: f"{c.first} shakes hands with {c.second}", shake_hands
    ),
    "hug": Activity(NORMAL, lambda c: f"{c.first} hugs {c.second}", hug),
    "pay": Activity(NORMAL, lambda c: f"{c.first} pays {c.second}", pay, places=("shop", "street")),
    "show phone": Activity(NORMAL, lambda c: f"{c.first} shows a phone to {c.second}", show_phone),
    "clean": Activity(NORMAL, lambda c: f"{c.first} cleans the wall", clean, places=_WALLS),
    "poster": Activity(
        NORMAL, lambda c: f"{c.first} puts up a poster", put_up_poster, places=_WALLS
    ),
    "grill": Activity(
        NORMAL, lambda c: f"{c.first} grills food", grill, grill_fire, places=OUTDOORS
    ),
    "drive": Activity(NORMAL, lambda c: f"a {c.cars[0]} car drives past", drive, places=_ROADS),
    "cars meet": Activity(
        NORMAL,
        lambda c: f"a {c.cars[0]} car passes a {c.cars[1]} car",
        cars_meet,
        places=_ROADS,
    ),
    "parked": Activity(
        NORMAL,
        lambda c: f"a {c.cars[0]} car is parked beside a {c.cars[1]} car",
        parked_cars,
        places=_ROADS,
    ),
    "headlights": Activity(
        NORMAL,
        lambda c: f"a {c.cars[0]} car shines its headlights",
        car_alone,
        headlights,
        places=_ROADS,
    ),
    "burn car": Activity(
        "Arson",
        lambda c: f"{c.first} sets fire to a {c.cars[0]} car",
        arsonist_and_car,
        burning_car,
        places=_ROADS,
    ),
    "burn bin": Activity(
        "Arson", lambda c: f"{c.first} sets fire to a bin", arsonist_and_bin, burning_bin
    ),
    "car bomb": Activity(
        "Explosion",
        lambda c: f"a {c.cars[0]} car explodes",
        car_wreck,
        blast,
        places=_ROADS,
    ),
    "blast": Activity(
        "Explosion", lambda _: "a blast throws fire and smoke into the air", _draw_nothing, blast
    ),
    "punch": Activity("Fighting", lambda c: f"{c.first} punches {c.second}", punch),
    "kick": Activity("Fighting", lambda c: f"{c.first} kicks {c.second}", kick),
    "beat down": Activity(
        "Fighting", lambda c: f"{c.first} beats {c.second} on the ground", beat_down
    ),
    "crash": Activity(
        "RoadAccidents",
        lambda c: f"a {c.cars[0]} car crashes into a {c.cars[1]} car",
        crash,
        places=_ROADS,
    ),
    "run over": Activity(
        "RoadAccidents", lambda c: f"a {c.cars[0]} car hits {c.first}", run_over, places=_ROADS
    ),
    "hold up": Activity("Robbery", lambda c: f"{c.first} points a gun at {c.second}", hold_up),
    "snatch": Activity("Robbery", lambda c: f"{c.first} tears a bag from {c.second}", snatch),
    "spray": Activity(
        "Vandalism", lambda c: f"{c.first} sprays paint on the wall", spray, places=_WALLS
    ),
    "smash": Activity("Vandalism", lambda c: f"{c.first} smashes a window", smash, places=_WALLS),
}


def possible_activities(label: str, place: PlaceName) -> list[str]:
    """Return the names of the activities of a class that can happen at a kind of place."""
    return [
        name
        for name, activity in ACTIVITIES.items()
        if activity.label == label and (not activity.places or place in activity.places)
    ]
