"""Draw landscape.jpg: hills in evening haze, with the grain of a small sensor.

Run with Pillow installed: `python data/make_landscape.py`. The seed is fixed, so the same Pillow
draws the same picture.
"""

from __future__ import annotations

import math
import random
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 1600, 1067
SKY_TOP, SKY_LOW = (58, 96, 158), (250, 206, 158)
FAR_HILL, NEAR_HILL = (148, 142, 168), (24, 40, 34)
RIDGES = 6

Colour = tuple[int, int, int]


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return the colour that lies `share` (0 to 1) of the way from `one` to `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def ridge(source: random.Random, base: float, rough: float) -> list[tuple[int, float]]:
    """Return the outline of a hill range: a sum of sines whose size falls with frequency."""
    waves = [
        (source.uniform(0.6, 1.4) * 2**octave, source.uniform(0, math.tau), rough / 1.9**octave)
        for octave in range(8)
    ]
    return [
        (x, base + sum(a * math.sin(math.tau * f * x / WIDTH + p) for f, p, a in waves))
        for x in range(0, WIDTH + 2, 2)
    ]


def main() -> None:
    """Draw the picture beside this file."""
    source = random.Random(20)  # noqa: S311 - decides the shape of hills
    image = Image.new("RGB", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(image)
    for y in range(HEIGHT):
        draw.line((0, y, WIDTH, y), fill=mix(SKY_TOP, SKY_LOW, min(1.0, y / (HEIGHT * 0.62))))
    glow = Image.new("RGB", image.size)
    ImageDraw.Draw(glow).ellipse((1010, 340, 1250, 580), fill=(255, 190, 90))
    image = ImageChops.screen(image, glow.filter(ImageFilter.GaussianBlur(60)))
    ImageDraw.Draw(image).ellipse((1095, 425, 1165, 495), fill=(255, 244, 214))
    image = image.filter(ImageFilter.GaussianBlur(1.5))
    draw = ImageDraw.Draw(image)
    for index in range(RIDGES):
        near = index / (RIDGES - 1)
        outline = ridge(source, HEIGHT * (0.5 + 0.42 * near), 70 - 25 * near)
        colour = mix(FAR_HILL, NEAR_HILL, near**0.8)
        draw.polygon([*outline, (WIDTH, HEIGHT), (0, HEIGHT)], fill=colour)
    grain = Image.effect_noise(image.size, 6).convert("RGB")
    image = ImageChops.add(image, grain, offset=-128).filter(ImageFilter.GaussianBlur(0.7))
    image.save(Path(__file__).with_name("landscape.jpg"), quality=76, optimize=True)


if __name__ == "__main__":
    main()
