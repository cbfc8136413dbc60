"""The places of the demo world: the view of a static camera, with layout, light and texture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from exvad.data.world.paint import HEIGHT, WIDTH, Brush, Color

if TYPE_CHECKING:
    from PIL import Image

PlaceName = Literal["street", "shop", "car park", "station", "park", "corridor"]

PREPOSITIONS: dict[PlaceName, str] = {
    "street": "on a street",
    "shop": "in a shop",
    "car park": "in a car park",
    "station": "at a station",
    "park": "in a park",
    "corridor": "in a corridor",
}
OUTDOORS: tuple[PlaceName, ...] = ("street", "car park", "park")

NIGHT_TINT: Color = (10, 14, 34)


@dataclass(frozen=True)
class Place:
    """The view of a camera.

    Args:
        name: the kind of place.
        night: whether it is dark (outdoors) or dimly lit (indoors).
        seed: determines the layout and the texture.
    """

    name: PlaceName
    night: bool
    seed: int

    @property
    def phrase(self) -> str:
        """Place and time of day in the words of a caption."""
        return f"{PREPOSITIONS[self.name]} {'at night' if self.night else 'by day'}"

    @property
    def horizon(self) -> float:
        """Canvas row at which the wall meets the ground."""
        return 108 + self.seed % 17

    def paint(self) -> Image.Image:
        """Return the empty place as an RGB canvas, before `darken`."""
        from PIL import Image, ImageDraw

        rng = np.random.default_rng(self.seed)
        image = Image.new("RGB", (WIDTH, HEIGHT))
        brush = Brush(ImageDraw.Draw(image, "RGBA"))
        _PAINTERS[self.name](brush, self.horizon, rng)
        grain_HW1 = rng.normal(0, 5, (HEIGHT // 2, WIDTH // 2, 1)).repeat(2, 0).repeat(2, 1)
        canvas_HWC = np.asarray(image, dtype=np.float32) + grain_HW1
        return Image.fromarray(canvas_HWC.clip(0, 255).astype(np.uint8))

    def darken(self, image: Image.Image) -> Image.Image:
        """Return the canvas in the light of this place."""
        from PIL import Image

        if not self.night:
            return image
        strength = 0.5 if self.name in OUTDOORS else 0.34
        return Image.blend(image, Image.new("RGB", image.size, NIGHT_TINT), strength)


def _tone(rng: np.random.Generator, base: Color, spread: int = 16) -> Color:
    shift = rng.integers(-spread, spread + 1, 3)
    red, green, blue = (int(np.clip(b + s, 0, 255)) for b, s in zip(base, shift, strict=True))
    return red, green, blue


def _street(brush: Brush, horizon: float, rng: np.random.Generator) -> None:
    brush.box(0, 0, WIDTH, horizon, _tone(rng, (150, 140, 128)))
    for left in range(int(rng.integers(0, 30)), WIDTH, 54):
        brush.box(left, horizon - 78, left + 26, horizon - 44, _tone(rng, (96, 116, 136)))
    brush.box(0, horizon, WIDTH, horizon + 38, _tone(rng, (172, 168, 162)))
    brush.box(0, horizon + 38, WIDTH, HEIGHT, _tone(rng, (88, 88, 92)))
    for left in range(int(rng.integers(0, 40)), WIDTH, 48):
        brush.box(left, horizon + 82, left + 24, horizon + 85, (214, 210, 196))


def _car_park(brush: Brush, horizon: float, rng: np.random.Generator) -> None:
    brush.box(0, 0, WIDTH, horizon * 0.55, _tone(rng, (168, 186, 204)))
    brush.box(0, horizon * 0.55, WIDTH, horizon, _tone(rng, (118, 126, 112)))
    brush.box(0, horizon, WIDTH, HEIGHT, _tone(rng, (112, 112, 114)))
    for left in range(int(rng.integers(0, 40)), WIDTH, 58):
        brush.draw.line([(left, horizon + 4), (left - 22, horizon + 50)], (222, 222, 214), 3)


def _shop(brush: Brush, horizon: float, rng: np.random.Generator) -> None:
    brush.box(0, 0, WIDTH, horizon, _tone(rng, (206, 196, 170)))
    for top in (26, 54, 82):
        brush.box(6, top, 196, top + 5, (122, 92, 64))
        for left in range(10, 190, 13):
            brush.box(left, top - 14, left + 9, top - 1, _tone(rng, (150, 120, 110), 70))
    brush.box(0, horizon, WIDTH, HEIGHT, _tone(rng, (188, 182, 176)))
    brush.box(232, horizon - 6, WIDTH, horizon + 52, _tone(rng, (130, 84, 54)))


def _station(brush: Brush, horizon: float, rng: np.random.Generator) -> None:
    brush.box(0, 0, WIDTH, horizon, _tone(rng, (196, 204, 206)))
    for left in range(0, WIDTH, 20):
        brush.draw.line([(left, 0), (left, horizon)], (170, 178, 182), 1)
    brush.box(0, 34, WIDTH, 52, _tone(rng, (40, 88, 150)))
    brush.box(0, horizon, WIDTH, HEIGHT, _tone(rng, (150, 148, 144)))
    brush.box(0, HEIGHT - 34, WIDTH, HEIGHT - 28, (226, 200, 60))
    brush.box(0, HEIGHT - 28, WIDTH, HEIGHT, (50, 48, 48))


def _park(brush: Brush, horizon: float, rng: np.random.Generator) -> None:
    brush.box(0, 0, WIDTH, horizon, _tone(rng, (170, 196, 220)))
    for _ in range(6):
        x = float(rng.uniform(0, WIDTH))
        brush.box(x - 4, horizon - 44, x + 4, horizon, (92, 68, 48))
        brush.disc((x, horizon - 62), float(rng.uniform(20, 32)), _tone(rng, (58, 108, 58)))
    brush.box(0, horizon, WIDTH, HEIGHT, _tone(rng, (112, 150, 84)))
    brush.box(0, horizon + 44, WIDTH, horizon + 84, _tone(rng, (190, 176, 146)))


def _corridor(brush: Brush, horizon: float, rng: np.random.Generator) -> None:
    brush.box(0, 0, WIDTH, horizon, _tone(rng, (216, 214, 204)))
    for left in range(int(rng.integers(10, 40)), WIDTH, 92):
        brush.box(left, horizon - 86, left + 40, horizon, _tone(rng, (140, 108, 78)))
    brush.box(0, horizon, WIDTH, HEIGHT, _tone(rng, (136, 140, 150)))
    brush.box(0, horizon - 4, WIDTH, horizon, (110, 110, 112))


_PAINTERS = {
    "street": _street,
    "shop": _shop,
    "car park": _car_park,
    "station": _station,
    "park": _park,
    "corridor": _corridor,
}
