"""Drawing primitives of the demo world: people, cars, fire, smoke and more, drawn with Pillow.

The canvas has 320×240 units and is halved at the end, which smooths edges. Motion is a function of
time alone, so every frame can be drawn independently of the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import ImageDraw

WIDTH, HEIGHT = 320, 240

Color = tuple[int, int, int]
Point = tuple[float, float]

CLOTHES: dict[str, Color] = {
    "red": (196, 48, 44),
    "blue": (52, 86, 190),
    "green": (52, 140, 70),
    "yellow": (222, 190, 60),
    "white": (226, 226, 220),
    "black": (34, 34, 40),
}
SKIN: Color = (214, 170, 140)
TROUSERS: Color = (60, 58, 70)
MASK: Color = (20, 20, 24)
DUST: Color = (196, 178, 146)


@dataclass(frozen=True)
class Pose:
    """Joint angles of a figure in degrees from hanging straight down, forward positive."""

    front_arm: float = 8
    back_arm: float = -8
    front_leg: float = 6
    back_leg: float = -6
    lean: float = 0


def walking(phase: float) -> Pose:
    """Return the pose of a walker; `phase` counts steps."""
    swing = math.sin(phase * math.tau)
    return Pose(24 * swing, -24 * swing, -26 * swing, 26 * swing, 3)


def talking(phase: float) -> Pose:
    """Return a standing pose with one arm that gestures now and then."""
    return Pose(front_arm=14 + 26 * max(0.0, math.sin(phase * math.tau * 0.6)))


def punching(phase: float, kick: bool) -> Pose:
    """Return a fighter's pose: arms strike in turn, or a leg does where `kick`."""
    strike = math.sin(phase * math.tau * 1.7)
    if kick:
        return Pose(-40, 70, 74 + 18 * strike, -14, -18)
    return Pose(84 + 34 * strike, 88 - 34 * strike, 34, -34, 24 + 6 * strike)


def reeling(sway: float) -> Pose:
    """Return the pose of a person who has just been hit."""
    return Pose(118 + sway, 96 - sway, 30, -30, -32)


class Brush:
    """Draws people and objects on one frame.

    Args:
        draw: draws on the frame; it blends colours that have an alpha.
    """

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self.draw = draw

    def person(
        self,
        x: float,
        y: float,
        height: float,
        shirt: Color,
        pose: Pose,
        facing: int = 1,
        face: Color = SKIN,
    ) -> Point:
        """Draw a standing person with the feet at (x, y); return the position of the front hand."""
        leg, torso, head = 0.46 * height, 0.36 * height, 0.1 * height
        limb = max(3, round(height * 0.085))
        hip = (x, y - leg)
        neck = _swing(hip, torso, 180 - pose.lean, facing)
        for angle in (pose.back_leg, pose.front_leg):
            self.draw.line([hip, _swing(hip, leg, angle, facing)], TROUSERS, limb)
        shoulder = (neck[0], neck[1] + 0.05 * height)
        arm = 0.36 * height
        back_hand = _swing(shoulder, arm, pose.back_arm, facing)
        front_hand = _swing(shoulder, arm, pose.front_arm, facing)
        self.draw.line([shoulder, back_hand], _shade(shirt, 0.75), limb)
        self.draw.line([hip, neck], shirt, round(limb * 2.1))
        self.draw.line([shoulder, front_hand], _shade(shirt, 0.9), limb)
        self.disc((neck[0], neck[1] - head), head, face)
        self.disc(front_hand, limb * 0.55, SKIN)
        return front_hand

    def lying(self, x: float, y: float, height: float, shirt: Color) -> None:
        """Draw a person who lies on the ground around (x, y)."""
        limb = max(3, round(height * 0.1))
        self.draw.line([(x - 0.45 * height, y), (x, y)], TROUSERS, limb)
        self.draw.line([(x, y), (x + 0.36 * height, y)], shirt, limb * 2)
        self.disc((x + 0.46 * height, y), 0.1 * height, SKIN)

    def car(self, x: float, y: float, length: float, paint: Color, tilt: float = 0) -> None:
        """Draw a car from the side with its centre at (x, y), tilted by `tilt` degrees."""
        high = length * 0.2
        body = [(-0.5, -0.2), (-0.5, 0.6), (0.5, 0.6), (0.5, -0.1), (0.3, -0.25)]
        cabin = [(-0.38, -0.2), (-0.26, -0.95), (0.12, -0.95), (0.28, -0.2)]
        glass = [(-0.3, -0.25), (-0.22, -0.8), (0.08, -0.8), (0.2, -0.25)]
        for outline, fill in ((body, paint), (cabin, _shade(paint, 0.8)), (glass, (130, 160, 180))):
            self.draw.polygon([_turn(x, y, length * u, high * v, tilt) for u, v in outline], fill)
        for u in (-0.3, 0.3):
            hub = _turn(x, y, length * u, high * 0.65, tilt)
            self.disc(hub, length * 0.09, (24, 24, 26))

    def fire(self, x: float, y: float, size: float, time: float) -> None:
        """Draw flickering flames of height `size` with their base at (x, y)."""
        tongues = ((255, 92, 24, 235), (255, 160, 40, 235), (255, 230, 120, 240))
        for layer, fill in enumerate(tongues):
            scale = 1 - 0.3 * layer
            for tongue in range(3):
                flicker = 0.75 + 0.25 * math.sin(time * 9.1 + tongue * 2.3 + layer)
                left = x + (tongue - 1) * size * 0.32 * scale
                half = size * 0.26 * scale
                tip = (left + half * 0.5 * math.sin(time * 7 + tongue), y - size * scale * flicker)
                self.draw.polygon([(left - half, y), tip, (left + half, y)], fill)

    def smoke(self, x: float, y: float, size: float, time: float, dark: int = 70) -> None:
        """Draw drifting smoke that rises from (x, y)."""
        for puff in range(5):
            rise = (time * 0.35 + puff / 5) % 1
            spot = (x + size * 0.35 * math.sin(puff * 1.9 + time) * rise, y - size * 1.6 * rise)
            self.disc(spot, size * (0.14 + 0.26 * rise), (dark, dark, dark, int(150 * (1 - rise))))

    def dust(self, x: float, y: float, size: float, time: float) -> None:
        """Draw dust around feet at (x, y)."""
        for puff in range(7):
            beat = (time * 0.8 + puff * 0.37) % 1
            spot = (x + size * (puff - 3) * 0.2, y - size * 0.16 * beat - size * 0.03)
            self.disc(spot, size * (0.07 + 0.1 * beat), (*DUST, int(190 * (1 - beat) + 40)))

    def blast(self, x: float, y: float, size: float, progress: float, time: float) -> None:
        """Draw an explosion; `progress` is 0 at the flash and 1 at the last smoke."""
        if progress < 0.25:
            self.disc((x, y), size * (0.7 + 2.2 * progress), (255, 246, 214, 240))
        if progress < 0.75:
            ball = size * (0.55 + 0.5 * progress)
            self.disc((x, y), ball, (255, 130, 30, 215))
            self.disc((x - ball * 0.1, y - ball * 0.15), ball * 0.62, (255, 206, 80, 225))
        self.smoke(x, y, size * (0.8 + progress), time, dark=48)
        for piece in range(9):
            angle = piece * 0.7 + 0.3
            far = size * (0.6 + 2.4 * progress) * (0.6 + 0.1 * (piece % 4))
            drop = size * 1.5 * progress * progress
            spot = (x + far * math.cos(angle), y - far * abs(math.sin(angle)) + drop)
            self.disc(spot, 2.4, (60, 46, 36))

    def glow(self, x: float, y: float, size: float) -> None:
        """Draw a lamp with its halo."""
        for share, alpha in ((1.0, 40), (0.62, 80), (0.3, 230)):
            self.disc((x, y), size * share, (255, 244, 206, alpha))

    def graffiti(self, x: float, y: float, size: float, share: float, paint: Color) -> None:
        """Draw the first `share` of a graffito around (x, y)."""
        steps = max(2, round(34 * min(share, 1.0)))
        line = [
            (
                x + size * (i / 34 - 0.5) * 1.7,
                y + size * 0.45 * math.sin(i * 0.95) * math.cos(i * 0.21),
            )
            for i in range(steps)
        ]
        self.draw.line(line, paint, 4)

    def cracks(self, x: float, y: float, size: float, share: float) -> None:
        """Draw cracks of a window, grown to `share` of their length."""
        for ray in range(7):
            angle = ray * 0.9 + 0.2
            reach = size * share * (0.6 + 0.15 * (ray % 3))
            end = (x + reach * math.cos(angle), y + reach * math.sin(angle))
            self.draw.line([(x, y), end], (238, 244, 250), 2)
        self.disc((x, y), 4 + 3 * share, (18, 20, 26))

    def disc(self, at: Point, radius: float, fill: Sequence[int]) -> None:
        """Draw a filled circle."""
        x, y = at
        self.draw.ellipse([x - radius, y - radius, x + radius, y + radius], tuple(fill))

    def box(
        self, left: float, top: float, right: float, bottom: float, fill: Sequence[int]
    ) -> None:
        """Draw a filled rectangle."""
        self.draw.rectangle([left, top, right, bottom], tuple(fill))


def raised(pose: Pose, front: float, back: float) -> Pose:
    """Return the pose with other angles of the arms."""
    return replace(pose, front_arm=front, back_arm=back)


def _swing(joint: Point, length: float, angle: float, facing: int) -> Point:
    """Return the end of a limb that hangs from `joint`, swung forward by `angle` degrees."""
    radians = math.radians(angle)
    return joint[0] + facing * length * math.sin(radians), joint[1] + length * math.cos(radians)


def _turn(x: float, y: float, dx: float, dy: float, tilt: float) -> Point:
    """Return (x, y) + (dx, dy) turned by `tilt` degrees."""
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    return x + dx * cos - dy * sin, y + dx * sin + dy * cos


def _shade(color: Color, factor: float) -> Color:
    return round(color[0] * factor), round(color[1] * factor), round(color[2] * factor)
