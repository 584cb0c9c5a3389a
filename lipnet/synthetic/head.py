"""The still picture of a speaker's head: shaded, with open or closed eyes, without a mouth.

Lengths are in face units, as in `appearance.py`. Shapes are implicit functions, positive inside: their
distance to the border in pixels gives an antialiased coverage at any position.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lipnet.synthetic.appearance import Appearance

Image = np.ndarray  # float32, (H, W) a map or (H, W, 3) RGB with 1.0 for white

WIDTH, HEIGHT = 360, 288  # px, the size of GRID's frames
EYE_X, BROW_Y = 0.45, -0.30  # face units


class Head:
    """Everything that keeps still: background, clothes, hair and face without eyes and mouth."""

    def __init__(
        self, appearance: Appearance, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.appearance = appearance
        self.x, self.y = np.meshgrid(x, y)
        self.rng = rng
        # Streaks for hair and brows, blotches for the skin; both with mean 0 and standard deviation 1.
        self.streaks = self._texture(0.8, 5.0)
        self.blotches = self._texture(6.0, 6.0)
        self.image = np.empty((HEIGHT, WIDTH, 3), np.float32)

    def draw(self) -> tuple[Image, Image]:
        """The picture (288, 360, 3) and the light that falls on the face, (288, 360)."""
        self._background()
        self._hair_behind()
        self._neck_and_clothes()
        light = self._face()
        self._features(light)
        self._hair_before()
        return self.image, light

    def _texture(self, sigma_x: float, sigma_y: float) -> Image:
        noise = self.rng.normal(size=(HEIGHT, WIDTH)).astype(np.float32)
        smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma_x, sigmaY=sigma_y))
        return smooth / smooth.std()

    def _background(self) -> None:
        appearance, x, y = self.appearance, self.x, self.y
        glow = 1.08 - 0.035 * (x**2 + (y + 0.3) ** 2) + 0.08 * x * appearance.light[0]
        self.image[:] = np.maximum(glow, 0.4)[..., None] * rgb(appearance.background)

    def _hair_shade(self) -> Image:
        appearance = self.appearance
        sheen = 0.95 + 0.45 * bump(self.x, self.y, appearance.light[0], -1.3, 0.6, 0.35) + 0.16 * self.streaks
        sheen = sheen - 0.25 * np.clip(self.y + 0.6, 0, 1)
        return sheen[..., None] * rgb(appearance.hair)

    def _hair_behind(self) -> None:
        appearance, x, y = self.appearance, self.x, self.y
        width = 0.98 + appearance.hair_volume * 0.7
        skull = inside_px(1 - (x / width) ** 2 - ((y + 0.25) / (1.22 + appearance.hair_volume)) ** 2)
        if appearance.hair_length > 0.5:  # falls over the ears
            wide = width + 0.12 * np.clip((y + 0.3) / 0.8, 0, 1)
            fall = np.minimum(wide - np.abs(x), np.minimum(appearance.hair_length - 0.3 * x * x - y, y + 0.3))
            skull = np.maximum(skull, fall * appearance.unit)
        blend(self.image, self._hair_shade(), cover((skull + 1.2 * self.streaks) / 3))

    def _neck_and_clothes(self) -> None:
        appearance, x, y = self.appearance, self.x, self.y
        half_neck = 0.54 + 0.35 * np.maximum(y - appearance.chin + 0.2, 0) ** 2
        neck = cover((half_neck - np.abs(x)) * appearance.unit) * (y > 0.6)
        tube = 0.62 - 0.25 * np.abs(x) ** 2 + 0.25 * x * appearance.light[0]
        under_chin = 1 - 0.5 * bump(x, y, 0, appearance.chin, 0.7, 0.30)
        blend(self.image, (tube * under_chin)[..., None] * rgb(appearance.skin), neck)
        shoulders = 1 - (np.abs(x) / 2.5) ** 2.5 - ((y - appearance.chin - 1.75) / 1.35) ** 2
        collar = 1 - (x / 0.66) ** 2 - ((y - appearance.chin - 0.15) / 0.42) ** 2
        cloth = cover(inside_px(shoulders)) * (1 - cover(inside_px(collar)))
        folds = 0.85 + 0.08 * x * (appearance.light[0] - x) + 0.05 * np.cos(9 * x + y) + 0.02 * self.blotches
        blend(self.image, folds[..., None] * rgb(appearance.clothes), cloth)

    def _outline(self) -> Image:
        """Positive inside the face, in pixels from its border."""
        appearance, x, y = self.appearance, self.x, self.y
        above = np.maximum(0.1 - y, 0) / 1.55
        below = np.maximum(y - 0.1, 0) / (appearance.chin - 0.1)
        return inside_px(1 - np.abs(x) ** 2.2 - above**2.2 - below**appearance.jaw_power)

    def _face(self) -> Image:
        appearance, x, y = self.appearance, self.x, self.y
        light, gloss = _shade(_height_field(appearance, x, y), appearance)
        for side in (-1, 1):
            ear = inside_px(1 - ((x - side * 1.0) / 0.13) ** 2 - ((y - 0.18) / 0.30) ** 2)
            blend(
                self.image, 0.62 * rgb(appearance.skin) * (1 + 0.15 * side * appearance.light[0]), cover(ear)
            )
        tint = 1 + 0.018 * self.blotches
        flush = bump(np.abs(x), y, 0.55, 0.50, 0.25, 0.2) + 0.6 * bump(
            x, y, 0, appearance.nose - 0.1, 0.15, 0.12
        )
        skin = rgb(appearance.skin) * (1 + flush[..., None] * rgb([0.02, -0.035, -0.035]))
        if appearance.stubble:
            beard = cover((y - appearance.nose - 0.25 * (1 - np.minimum(x * x, 1))) * 6) * appearance.stubble
            grain = beard * (1 + 0.15 * self._texture(0.7, 0.9))
            skin = skin + grain[..., None] * (0.5 * rgb(appearance.hair) - skin)
        blend(self.image, (light * tint)[..., None] * skin + gloss[..., None], cover(self._outline()))
        return light

    def _features(self, light: Image) -> None:
        """Soft shadows, nostrils and brows: what a face detector looks for."""
        appearance, x, y = self.appearance, np.abs(self.x), self.y
        shadow = 0.30 * bump(x, y, EYE_X - 0.03, -0.07, 0.27, 0.11)
        shadow += 0.16 * bump(x, y, EYE_X, 0.13, 0.2, 0.05)
        shadow += 0.30 * bump(x, y, 0, appearance.nose + 0.045, 0.17 * appearance.nose_size, 0.04)
        shadow += 0.16 * bump(x, y, 0.17 * appearance.nose_size, appearance.nose - 0.06, 0.03, 0.07)
        shadow += 0.62 * bump(x, y, 0.095 * appearance.nose_size, appearance.nose - 0.005, 0.05, 0.026)
        self.image *= (1 - np.minimum(shadow, 0.9))[..., None]
        t = (x - 0.20) / 0.54  # along the brow: 0 at the nose, 1 at the temple
        middle = BROW_Y + 0.02 - appearance.brow_arch * np.sin(0.6 + 2.2 * np.clip(t, 0, 1))
        thick = appearance.brow_weight * np.clip(1.15 - 0.9 * t, 0, 1) * np.clip(4 * t + 0.6, 0, 1)
        brow = cover((thick - np.abs(y - middle)) * appearance.unit / 1.6) * ((t > -0.1) & (t < 1.1))
        colour = 0.75 * rgb(appearance.hair) * light[..., None]
        blend(self.image, colour, np.clip(brow * (0.85 + 0.12 * self.streaks), 0, 1))

    def _hair_before(self) -> None:
        appearance, x, y = self.appearance, self.x, self.y
        line = appearance.hairline + 0.6 * np.abs(x - 0.3 * appearance.fringe) ** 3 + appearance.fringe * x
        fringe = cover(((line - y) * appearance.unit + 2.2 * self.streaks) / 5)
        # A little beyond the face's border, where the skin has half covered the hair behind.
        blend(self.image, self._hair_shade(), fringe * cover(self._outline() + 2))


def _height_field(appearance: Appearance, x: Image, y: Image) -> Image:
    """How far each point of the face stands out, in face units: an ellipsoid with bumps and dents."""
    z = 0.95 * np.sqrt(np.maximum(1.02 - (x / 1.08) ** 2 - ((y - 0.15) / 1.75) ** 2, 0.02))
    side, n = np.abs(x), appearance.nose_size
    for cx, cy, width, height, rise in (
        (0, 0.25, 0.10, 0.34, 0.13 * n),  # bridge of the nose
        (0, appearance.nose - 0.12, 0.12 * n, 0.13, 0.20 * n),  # its tip
        (0.15 * n, appearance.nose - 0.06, 0.07, 0.07, 0.09 * n),  # its wings
        (0.40, -0.27, 0.30, 0.10, 0.07),  # brow ridge
        (0.42, -0.02, 0.24, 0.15, -0.10),  # sockets
        (0.56, 0.48, 0.26, 0.24, 0.08),  # cheeks
        (0, appearance.mouth, 0.40, 0.24, 0.08),  # mound of the mouth
        (0, appearance.chin - 0.20, 0.22, 0.15, 0.10),  # chin
        (0, appearance.mouth + 0.24, 0.22, 0.06, -0.04),  # under the lower lip
        (0, (appearance.nose + appearance.mouth) / 2 + 0.02, 0.04, 0.08, -0.02),  # philtrum
        (0.30, appearance.nose + 0.04, 0.05, 0.12, -0.025),  # nasolabial fold, above
        (0.40, appearance.nose + 0.22, 0.06, 0.12, -0.025),  # and beside the mouth
    ):
        z = z + rise * bump(side, y, cx, cy, width, height)
    return np.asarray(cv2.GaussianBlur(z.astype(np.float32), (0, 0), 1.2), np.float32)


def _shade(z: Image, appearance: Appearance) -> tuple[Image, Image]:
    """Lambert's law on a height field: the light on each point, and the highlight to add."""
    dy, dx = np.gradient(z * appearance.unit)
    normal = np.stack([-dx, -dy, np.ones_like(z)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    towards = np.array(appearance.light) / np.linalg.norm(appearance.light)
    lambert = np.maximum(normal @ towards, 0)
    half = towards + np.array([0, 0, 1])
    gloss = appearance.gloss * np.maximum(normal @ (half / np.linalg.norm(half)), 0) ** 24
    light = appearance.ambient + (1.08 - appearance.ambient) * lambert
    return light.astype(np.float32), gloss.astype(np.float32)


def with_eyes(
    head: Image, appearance: Appearance, x: np.ndarray, y: np.ndarray, light: Image, closed: bool
) -> Image:
    """A copy of the head with its eyes (and glasses), open or closed."""
    image = head.copy()
    x, y = np.meshgrid(x, y)
    for side in (-1, 1):
        across = (x - side * EYE_X) / appearance.eye_size * side  # -1 at the inner corner, 1 at the outer
        down = (y + appearance.eye_slant * across) / appearance.eye_size
        (_paint_closed_eye if closed else _paint_open_eye)(image, appearance, across, down, light)
    if appearance.glasses:
        ring = (np.abs(np.abs(x) - 0.46) / 0.33) ** 3 + (np.abs(y - 0.05) / 0.24) ** 3
        bridge = (np.abs(x) < 0.15) & (np.abs(y + 0.02) < 0.02)
        rim = np.maximum(cover(1.2 - np.abs(inside_px(1 - ring))), bridge)
        blend(image, rgb([0.10, 0.09, 0.09]), 0.6 * rim)
    return image


def _paint_open_eye(image: Image, appearance: Appearance, across: Image, down: Image, light: Image) -> None:
    """``across`` and ``down`` count in half-widths of the eye from its centre."""
    px = appearance.unit * appearance.eye_size
    arch = np.maximum(1 - across**2, 0)
    upper, lower = -0.46 * arch**0.8, 0.34 * arch
    opening = cover((down - upper) * px) * cover((lower - down) * px) * (arch > 0)
    white = rgb([0.84, 0.82, 0.80]) * (light * np.clip(0.88 + 0.6 * down, 0.5, 1.0))[..., None]
    blend(image, white, opening)
    radius = np.hypot(across, down + 0.04)
    blend(image, rgb(appearance.iris), opening * cover((0.46 - radius) * px))
    blend(image, rgb([0.03, 0.03, 0.03]), opening * cover((0.2 - radius) * px))
    glint = 0.8 * cover((0.10 - np.hypot(across - 0.14, down + 0.18)) * px)
    blend(image, rgb([0.95, 0.95, 0.95]), glint)
    lid = np.exp(-(((down - upper + 0.04) / 0.11) ** 2)) * (arch > 0)
    crease = np.exp(-(((down - upper + 0.34) / 0.09) ** 2)) * arch
    lash = np.exp(-(((down - lower - 0.03) / 0.08) ** 2)) * arch
    dark = 0.18 * rgb(appearance.skin)
    blend(image, dark, np.maximum.reduce([0.9 * lid, 0.32 * crease, 0.35 * lash]))


def _paint_closed_eye(image: Image, appearance: Appearance, across: Image, down: Image, light: Image) -> None:
    px = appearance.unit * appearance.eye_size
    arch = np.maximum(1 - across**2, 0)
    line = 0.26 * arch
    lid = cover((down + 0.5 * arch) * px) * cover((line - down) * px) * (arch > 0)
    blend(image, 0.86 * rgb(appearance.skin) * light[..., None], lid)
    lash = np.exp(-(((down - line) / 0.11) ** 2)) * (arch > 0)
    blend(image, 0.2 * rgb(appearance.skin), 0.85 * lash)


def bump(x: Image, y: Image, cx: float, cy: float | Image, width: float, height: float) -> Image:
    """A soft spot: 1 at its centre, 1/e at ``width`` or ``height`` from it."""
    return np.exp(-(((x - cx) / width) ** 2) - ((y - cy) / height) ** 2)


def inside_px(field: Image) -> Image:
    """Turn an implicit function on the image's pixels into the distance to its zero line, in pixels."""
    dy, dx = np.gradient(field)
    return field / np.maximum(np.hypot(dx, dy), 1e-3)


def cover(distance: Image) -> Image:
    """The share of a pixel that a shape covers whose border is ``distance`` pixels away (positive inside)."""
    t = np.clip(distance + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def blend(image: Image, colour: Image, alpha: Image) -> None:
    """Lay ``colour`` ((3,) or (H, W, 3)) over ``image`` (H, W, 3), in place; ``alpha`` is (H, W), 0 to 1."""
    image += alpha[..., None] * (colour - image)


def to_bytes(image: Image) -> np.ndarray:
    """Round to uint8, 1.0 being 255."""
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def rgb(colour: Sequence[float]) -> np.ndarray:
    """A colour to calculate with, (3,) float32."""
    return np.array(colour, np.float32)
