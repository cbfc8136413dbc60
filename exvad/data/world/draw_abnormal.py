"""Drawings of the anomalies."""

from __future__ import annotations

import math

from exvad.data.world.cast import Moment
from exvad.data.world.paint import CLOTHES, Brush, Pose, punching, raised, reeling


def burning_car(brush: Brush, m: Moment) -> None:
    """Draw the fire and smoke of a burning car."""
    size = m.cast.height * (0.3 + 0.8 * min(1.0, m.progress * 1.6))
    brush.fire(m.cast.x, m.cast.y - 0.1 * m.cast.height, size, m.time)
    brush.smoke(m.cast.x, m.cast.y - size, m.cast.height * (0.5 + 0.6 * m.progress), m.time)


def arsonist_and_car(brush: Brush, m: Moment) -> None:
    """Draw one person who sets fire to a car."""
    m.car(brush, 0, 0)
    m.person(brush, 0, -1.15, raised(Pose(lean=8), 58, -20))


def arsonist_and_bin(brush: Brush, m: Moment) -> None:
    """Draw one person who sets fire to a bin."""
    high = m.cast.height
    x = m.cast.x + m.cast.facing * 0.5 * high
    brush.box(x - 0.2 * high, m.cast.y - 0.45 * high, x + 0.2 * high, m.cast.y, (66, 84, 70))
    m.person(brush, 0, -0.25, raised(Pose(lean=8), 60, -20))


def burning_bin(brush: Brush, m: Moment) -> None:
    """Draw the fire and smoke of a burning bin."""
    high = m.cast.height
    x = m.cast.x + m.cast.facing * 0.5 * high
    size = high * (0.25 + 0.6 * min(1.0, m.progress * 1.6))
    brush.fire(x, m.cast.y - 0.42 * high, size, m.time)
    brush.smoke(x, m.cast.y - 0.4 * high - size, high * 0.6, m.time)


def car_wreck(brush: Brush, m: Moment) -> None:
    """Draw a car that a blast tilts."""
    m.car(brush, 0, 0, tilt=14 * min(1.0, m.progress * 4))


def blast(brush: Brush, m: Moment) -> None:
    """Draw an explosion."""
    brush.blast(m.cast.x, m.cast.y - 0.3 * m.cast.height, m.cast.height * 0.75, m.progress, m.time)


def punch(brush: Brush, m: Moment) -> None:
    """Draw two people who punch each other."""
    m.person(brush, 1, 0.3, punching(m.time + 0.35, kick=False), turned=True)
    m.person(brush, 0, -0.3, punching(m.time, kick=False))
    _dust(brush, m)


def kick(brush: Brush, m: Moment) -> None:
    """Draw one person who kicks another."""
    m.person(brush, 1, 0.34, reeling(14 * math.sin(m.time * 5)), turned=True)
    m.person(brush, 0, -0.4, punching(m.time, kick=True))
    _dust(brush, m)


def beat_down(brush: Brush, m: Moment) -> None:
    """Draw one person who beats another on the ground."""
    cast = m.cast
    x = cast.x + cast.facing * 0.3 * cast.height
    brush.lying(x, cast.y - 4, cast.height, CLOTHES[cast.shirts[1]])
    m.person(brush, 0, -0.4, punching(m.time, kick=False))
    _dust(brush, m)


def crash(brush: Brush, m: Moment) -> None:
    """Draw two cars that collide, with smoke and broken glass."""
    jolt = min(1.0, m.progress * 8)
    m.car(brush, 1, 0.34, tilt=-26 * jolt)
    m.car(brush, 0, -0.34, tilt=24 * jolt)
    brush.smoke(m.cast.x, m.cast.y - 10, m.cast.height * 1.1 * jolt, m.time, dark=205)
    for piece in range(9):
        x = m.cast.x + (piece - 4) * 13 * jolt
        brush.disc((x, m.cast.y + 16 + 4 * (piece % 3)), 3.2, (222, 228, 232))


def run_over(brush: Brush, m: Moment) -> None:
    """Draw a car that has hit a person."""
    cast = m.cast
    m.car(brush, 0, -0.55, tilt=4)
    x = cast.x + cast.facing * 0.6 * cast.height
    brush.lying(x, cast.y + 10, cast.height, CLOTHES[cast.shirts[0]])
    brush.dust(cast.x, cast.y + 12, cast.height, m.time)


def hold_up(brush: Brush, m: Moment) -> None:
    """Draw one person who points a gun at another."""
    shake = 4 * math.sin(m.time * 9)
    m.person(brush, 1, 0.52, Pose(142 + shake, -142 - shake, lean=-6), turned=True)
    x, y = m.person(brush, 0, -0.46, raised(Pose(), 90, 78), masked=True)
    f = m.cast.facing
    brush.draw.line([(x, y), (x + f * 18, y)], (14, 14, 16), 5)
    brush.draw.line([(x + f * 3, y), (x + f * 3, y + 9)], (14, 14, 16), 4)


def snatch(brush: Brush, m: Moment) -> None:
    """Draw one person who tears a bag from another."""
    pull = 0.06 * math.sin(m.time * 7)
    m.person(brush, 1, 0.46 + pull, Pose(70, 84, 30, -14, -22), turned=True)
    x, y = m.person(brush, 0, -0.46 + pull, Pose(72, 88, 30, -24, -22), masked=True)
    brush.box(x - 9, y - 4, x + 11, y + 15, (124, 74, 38))


def spray(brush: Brush, m: Moment) -> None:
    """Draw one person who sprays paint on a wall."""
    high, f = m.cast.height, m.cast.facing
    wall = (m.cast.x + f * 0.75 * high, m.cast.y - 0.8 * high)
    paint = CLOTHES[m.cast.cars[0]]
    brush.graffiti(*wall, high * 0.7, 0.25 + m.progress, paint)
    x, y = m.person(brush, 0, -0.05, raised(Pose(), 104 + 18 * math.sin(m.time * 2.4), -10))
    brush.disc((x + f * 9, y), 6, (*paint, 120))


def smash(brush: Brush, m: Moment) -> None:
    """Draw one person who smashes a window."""
    high, f = m.cast.height, m.cast.facing
    x, y = m.cast.x + f * 0.62 * high, m.cast.y - 0.78 * high
    brush.box(x - 0.34 * high, y - 0.4 * high, x + 0.34 * high, y + 0.4 * high, (112, 138, 158))
    brush.cracks(x, y, high * 0.42, min(1.0, 0.4 + m.progress))
    swing = 96 + 44 * math.sin(m.time * 6)
    hand = m.person(brush, 0, -0.2, raised(Pose(lean=6), swing, 30))
    brush.draw.line([hand, (hand[0] + f * 12, hand[1] - 10)], (80, 60, 40), 4)


def _dust(brush: Brush, m: Moment) -> None:
    brush.dust(m.cast.x, m.cast.y + 2, m.cast.height, m.time)
