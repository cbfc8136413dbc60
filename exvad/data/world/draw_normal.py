"""Drawings of the normal activities; every one looks like some anomaly."""

from __future__ import annotations

import math

from exvad.data.world.cast import CAR_LENGTH, Moment
from exvad.data.world.paint import Brush, Pose, raised, talking, walking

IRON = (40, 40, 42)


def walk(brush: Brush, m: Moment) -> None:
    """Draw one person who walks across."""
    step = (m.progress - 0.5) * 1.7
    m.person(brush, 0, step, walking(m.time))


def pass_by(brush: Brush, m: Moment) -> None:
    """Draw two people who walk past each other."""
    step = (m.progress - 0.5) * 1.7
    m.person(brush, 1, -step + 0.2, walking(m.time + 0.3), turned=True)
    m.person(brush, 0, step, walking(m.time))


def talk(brush: Brush, m: Moment) -> None:
    """Draw two people who talk."""
    m.person(brush, 1, 0.34, talking(m.time + 1.1), turned=True)
    m.person(brush, 0, -0.34, talking(m.time))


def shake_hands(brush: Brush, m: Moment) -> None:
    """Draw two people who shake hands."""
    arm = 62 + 8 * math.sin(m.time * 8)
    m.person(brush, 1, 0.33, raised(Pose(), arm, -6), turned=True)
    m.person(brush, 0, -0.33, raised(Pose(), arm, -6))


def hug(brush: Brush, m: Moment) -> None:
    """Draw two people who hug."""
    sway = 2 * math.sin(m.time * 2)
    m.person(brush, 1, 0.15, Pose(74, 66, 4, -4, 7 + sway), turned=True)
    m.person(brush, 0, -0.15, Pose(80, 70, 4, -4, 7 - sway))


def pay(brush: Brush, m: Moment) -> None:
    """Draw one person who hands money to another."""
    m.person(brush, 1, 0.42, talking(m.time), turned=True)
    x, y = m.person(brush, 0, -0.42, raised(Pose(), 70 + 5 * math.sin(m.time * 2), -8))
    brush.box(x - 3, y - 2, x + 7, y + 3, (130, 190, 130))


def show_phone(brush: Brush, m: Moment) -> None:
    """Draw one person who shows a phone to another."""
    m.person(brush, 1, 0.44, Pose(lean=4), turned=True)
    x, y = m.person(brush, 0, -0.4, raised(Pose(), 84 + 4 * math.sin(m.time * 2), -8))
    brush.box(x - 2, y - 7, x + 3, y + 4, (22, 22, 30))


def clean(brush: Brush, m: Moment) -> None:
    """Draw one person who cleans a wall."""
    arm = 122 + 26 * math.sin(m.time * 3)
    x, y = m.person(brush, 0, 0, raised(Pose(), arm, -10))
    brush.box(x - 6, y - 6, x + 6, y + 5, (236, 236, 226))


def put_up_poster(brush: Brush, m: Moment) -> None:
    """Draw one person who puts up a poster."""
    m.person(brush, 0, 0, raised(Pose(), 128 + 5 * math.sin(m.time * 2), 112))
    h, x = m.cast.height, m.cast.x + m.cast.facing * m.cast.height * 0.34
    brush.box(x - 0.2 * h, m.cast.y - 1.2 * h, x + 0.2 * h, m.cast.y - 0.75 * h, (240, 232, 196))


def grill(brush: Brush, m: Moment) -> None:
    """Draw one person at a smoking grill."""
    high, x = m.cast.height, m.cast.x + m.cast.facing * 0.2 * m.cast.height
    brush.box(x - 0.3 * high, m.cast.y - 0.42 * high, x + 0.3 * high, m.cast.y - 0.3 * high, IRON)
    brush.box(x - 0.03 * high, m.cast.y - 0.3 * high, x + 0.03 * high, m.cast.y, IRON)
    m.person(brush, 0, -0.35, raised(Pose(), 66 + 8 * math.sin(m.time * 3), -8))
    brush.smoke(x, m.cast.y - 0.45 * high, high * 0.5, m.time, dark=170)


def grill_fire(brush: Brush, m: Moment) -> None:
    """Draw the grill's fire."""
    high, x = m.cast.height, m.cast.x + m.cast.facing * 0.2 * m.cast.height
    brush.fire(x, m.cast.y - 0.42 * high, high * 0.22, m.time)


def drive(brush: Brush, m: Moment) -> None:
    """Draw a car that drives past."""
    m.car(brush, 0, (m.progress - 0.5) * 1.4)


def cars_meet(brush: Brush, m: Moment) -> None:
    """Draw two cars that pass each other closely."""
    step = (m.progress - 0.5) * 1.1
    m.car(brush, 1, 0.25 - step)
    m.car(brush, 0, -0.25 + step)


def parked_cars(brush: Brush, m: Moment) -> None:
    """Draw two parked cars."""
    m.car(brush, 1, 0.66)
    m.car(brush, 0, -0.66)


def headlights(brush: Brush, m: Moment) -> None:
    """Draw a car's glaring headlights."""
    length = m.cast.height * CAR_LENGTH
    pulse = 1 + 0.15 * math.sin(m.time * 2)
    brush.glow(m.cast.x + m.cast.facing * 0.5 * length, m.cast.y, length * 0.5 * pulse)


def car_alone(brush: Brush, m: Moment) -> None:
    """Draw one standing car."""
    m.car(brush, 0, 0)
