"""The still image of a synthetic speaker's head: shaded, with open or closed eyes, without a mouth.

Lengths are in face units (`lipnet.synthetic.appearance`).
"""

from __future__ import annotations

import cv2
import numpy as np

from lipnet.synthetic.appearance import Appearance
from lipnet.synthetic.raster import Image, blend, border_distance, bump, coverage, rgb

WIDTH, HEIGHT = 360, 288  # px, the size of GRID's frames
EYE_X, BROW_Y = 0.45, -0.30  # face units


class Head:
    """Renders everything that does not move: background, clothes, hair, and the face without eyes and mouth.

    Args:
        appearance: the speaker's.
        x, y: (W,) and (H,) float32, the image's columns and rows in face units.
        rng: for the textures of hair and skin.
    """

    def __init__(
        self, appearance: Appearance, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.appearance = appearance
        self.x, self.y = np.meshgrid(x, y)
        self.rng = rng
        # Streaks of hair and brows, blotches of the skin; both with mean 0 and standard deviation 1.
        self.streaks = self._texture(0.8, 5.0)
        self.blotches = self._texture(6.0, 6.0)
        self.image = np.empty((HEIGHT, WIDTH, 3), np.float32)

    def render(self) -> tuple[Image, Image]:
        """The image, (288, 360, 3), and the light on the face, (288, 360)."""
        self._background()
        self._hair_behind()
        self._neck_and_clothes()
        light = self._face()
        self._features(light)
        self._hair_in_front()
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
        skull = border_distance(1 - (x / width) ** 2 - ((y + 0.25) / (1.22 + appearance.hair_volume)) ** 2)
        if appearance.hair_length > 0.5:  # covers the ears
            wide = width + 0.12 * np.clip((y + 0.3) / 0.8, 0, 1)
            fall = np.minimum(wide - np.abs(x), np.minimum(appearance.hair_length - 0.3 * x * x - y, y + 0.3))
            skull = np.maximum(skull, fall * appearance.unit)
        blend(self.image, self._hair_shade(), coverage((skull + 1.2 * self.streaks) / 3))

    def _neck_and_clothes(self) -> None:
        appearance, x, y = self.appearance, self.x, self.y
        half_neck = 0.54 + 0.35 * np.maximum(y - appearance.chin + 0.2, 0) ** 2
        neck = coverage((half_neck - np.abs(x)) * appearance.unit) * (y > 0.6)
        tube = 0.62 - 0.25 * np.abs(x) ** 2 + 0.25 * x * appearance.light[0]
        under_chin = 1 - 0.5 * bump(x, y, 0, appearance.chin, 0.7, 0.30)
        blend(self.image, (tube * under_chin)[..., None] * rgb(appearance.skin), neck)
        shoulders = 1 - (np.abs(x) / 2.5) ** 2.5 - ((y - appearance.chin - 1.75) / 1.35) ** 2
        collar = 1 - (x / 0.66) ** 2 - ((y - appearance.chin - 0.15) / 0.42) ** 2
        cloth = coverage(border_distance(shoulders)) * (1 - coverage(border_distance(collar)))
        folds = 0.85 + 0.08 * x * (appearance.light[0] - x) + 0.05 * np.cos(9 * x + y) + 0.02 * self.blotches
        blend(self.image, folds[..., None] * rgb(appearance.clothes), cloth)

    def _outline(self) -> Image:
        """Distance to the outline of the face in pixels, positive inside; (H, W)."""
        appearance, x, y = self.appearance, self.x, self.y
        above = np.maximum(0.1 - y, 0) / 1.55
        below = np.maximum(y - 0.1, 0) / (appearance.chin - 0.1)
        return border_distance(1 - np.abs(x) ** 2.2 - above**2.2 - below**appearance.jaw_power)

    def _face(self) -> Image:
        """Render ears and skin, and return the light on the face, (H, W)."""
        appearance, x, y = self.appearance, self.x, self.y
        light, highlight = _shade(_height_field(appearance, x, y), appearance)
        for side in (-1, 1):
            ear = border_distance(1 - ((x - side * 1.0) / 0.13) ** 2 - ((y - 0.18) / 0.30) ** 2)
            shade = 0.62 * rgb(appearance.skin) * (1 + 0.15 * side * appearance.light[0])
            blend(self.image, shade, coverage(ear))
        tint = 1 + 0.018 * self.blotches
        colour = (light * tint)[..., None] * self._skin() + highlight[..., None]
        blend(self.image, colour, coverage(self._outline()))
        return light

    def _skin(self) -> Image:
        """The colour of the skin, (H, W, 3): redder on cheeks and nose, darker where there is stubble."""
        appearance, x, y = self.appearance, self.x, self.y
        flush = bump(np.abs(x), y, 0.55, 0.50, 0.25, 0.2)
        flush = flush + 0.6 * bump(x, y, 0, appearance.nose - 0.1, 0.15, 0.12)
        skin = rgb(appearance.skin) * (1 + flush[..., None] * rgb([0.02, -0.035, -0.035]))
        if appearance.stubble:
            area = coverage((y - appearance.nose - 0.25 * (1 - np.minimum(x * x, 1))) * 6)
            grain = area * appearance.stubble * (1 + 0.15 * self._texture(0.7, 0.9))
            skin = skin + grain[..., None] * (0.5 * rgb(appearance.hair) - skin)
        return skin

    def _features(self, light: Image) -> None:
        """Render soft shadows, nostrils and brows, from which a face is detected."""
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
        brow = coverage((thick - np.abs(y - middle)) * appearance.unit / 1.6) * ((t > -0.1) & (t < 1.1))
        colour = 0.75 * rgb(appearance.hair) * light[..., None]
        blend(self.image, colour, np.clip(brow * (0.85 + 0.12 * self.streaks), 0, 1))

    def _hair_in_front(self) -> None:
        appearance, x, y = self.appearance, self.x, self.y
        line = appearance.hairline + 0.6 * np.abs(x - 0.3 * appearance.fringe) ** 3 + appearance.fringe * x
        fringe = coverage(((line - y) * appearance.unit + 2.2 * self.streaks) / 5)
        # 2 px beyond the outline of the face, where the skin half covers the hair behind it
        blend(self.image, self._hair_shade(), fringe * coverage(self._outline() + 2))


def _height_field(appearance: Appearance, x: Image, y: Image) -> Image:
    """The relief of the face, (H, W) in face units towards the camera: an ellipsoid with bumps and dents."""
    z = 0.95 * np.sqrt(np.maximum(1.02 - (x / 1.08) ** 2 - ((y - 0.15) / 1.75) ** 2, 0.02))
    side, n = np.abs(x), appearance.nose_size
    for cx, cy, width, height, rise in (
        (0, 0.25, 0.10, 0.34, 0.13 * n),  # bridge of the nose
        (0, appearance.nose - 0.12, 0.12 * n, 0.13, 0.20 * n),  # its tip
        (0.15 * n, appearance.nose - 0.06, 0.07, 0.07, 0.09 * n),  # its wings
        (0.40, -0.27, 0.30, 0.10, 0.07),  # brow ridge
        (0.42, -0.02, 0.24, 0.15, -0.10),  # eye sockets
        (0.56, 0.48, 0.26, 0.24, 0.08),  # cheeks
        (0, appearance.mouth, 0.40, 0.24, 0.08),  # around the mouth
        (0, appearance.chin - 0.20, 0.22, 0.15, 0.10),  # chin
        (0, appearance.mouth + 0.24, 0.22, 0.06, -0.04),  # below the lower lip
        (0, (appearance.nose + appearance.mouth) / 2 + 0.02, 0.04, 0.08, -0.02),  # philtrum
        (0.30, appearance.nose + 0.04, 0.05, 0.12, -0.025),  # nasolabial fold, above
        (0.40, appearance.nose + 0.22, 0.06, 0.12, -0.025),  # and beside the mouth
    ):
        z = z + rise * bump(side, y, cx, cy, width, height)
    return np.asarray(cv2.GaussianBlur(z.astype(np.float32), (0, 0), 1.2), np.float32)


def _shade(z: Image, appearance: Appearance) -> tuple[Image, Image]:
    """The light on a height field by Lambert's law, and Blinn-Phong highlights to add, both (H, W)."""
    dy, dx = np.gradient(z * appearance.unit)
    normal = np.stack([-dx, -dy, np.ones_like(z)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    towards = np.array(appearance.light) / np.linalg.norm(appearance.light)
    lambert = np.maximum(normal @ towards, 0)
    half = towards + np.array([0, 0, 1])
    highlight = appearance.specular * np.maximum(normal @ (half / np.linalg.norm(half)), 0) ** 24
    light = appearance.ambient + (1.08 - appearance.ambient) * lambert
    return light.astype(np.float32), highlight.astype(np.float32)


def with_eyes(
    head: Image, appearance: Appearance, x: np.ndarray, y: np.ndarray, light: Image, closed: bool
) -> Image:
    """A copy of the head's image with eyes, open or closed, and glasses if the speaker wears any."""
    image = head.copy()
    x, y = np.meshgrid(x, y)
    for side in (-1, 1):
        across = (x - side * EYE_X) / appearance.eye_size * side  # -1 at the inner corner, 1 at the outer
        down = (y + appearance.eye_slant * across) / appearance.eye_size
        (_paint_closed_eye if closed else _paint_open_eye)(image, appearance, across, down, light)
    if appearance.glasses:
        ring = (np.abs(np.abs(x) - 0.46) / 0.33) ** 3 + (np.abs(y - 0.05) / 0.24) ** 3
        bridge = (np.abs(x) < 0.15) & (np.abs(y + 0.02) < 0.02)
        rim = np.maximum(coverage(1.2 - np.abs(border_distance(1 - ring))), bridge)
        blend(image, rgb([0.10, 0.09, 0.09]), 0.6 * rim)
    return image


def _paint_open_eye(image: Image, appearance: Appearance, across: Image, down: Image, light: Image) -> None:
    """Paint an eye in place; ``across`` and ``down`` are in half-widths of the eye from its centre."""
    px = appearance.unit * appearance.eye_size
    arch = np.maximum(1 - across**2, 0)
    upper, lower = -0.46 * arch**0.8, 0.34 * arch
    opening = coverage((down - upper) * px) * coverage((lower - down) * px) * (arch > 0)
    white = rgb([0.84, 0.82, 0.80]) * (light * np.clip(0.88 + 0.6 * down, 0.5, 1.0))[..., None]
    blend(image, white, opening)
    radius = np.hypot(across, down + 0.04)
    blend(image, rgb(appearance.iris), opening * coverage((0.46 - radius) * px))
    blend(image, rgb([0.03, 0.03, 0.03]), opening * coverage((0.2 - radius) * px))
    glint = 0.8 * coverage((0.10 - np.hypot(across - 0.14, down + 0.18)) * px)
    blend(image, rgb([0.95, 0.95, 0.95]), glint)
    lid = np.exp(-(((down - upper + 0.04) / 0.11) ** 2)) * (arch > 0)
    crease = np.exp(-(((down - upper + 0.34) / 0.09) ** 2)) * arch
    lashes = np.exp(-(((down - lower - 0.03) / 0.08) ** 2)) * arch
    dark = 0.18 * rgb(appearance.skin)
    blend(image, dark, np.maximum.reduce([0.9 * lid, 0.32 * crease, 0.35 * lashes]))


def _paint_closed_eye(image: Image, appearance: Appearance, across: Image, down: Image, light: Image) -> None:
    """Paint a closed eye in place, with arguments as for an open one."""
    px = appearance.unit * appearance.eye_size
    arch = np.maximum(1 - across**2, 0)
    line = 0.26 * arch
    lid = coverage((down + 0.5 * arch) * px) * coverage((line - down) * px) * (arch > 0)
    blend(image, 0.86 * rgb(appearance.skin) * light[..., None], lid)
    lashes = np.exp(-(((down - line) / 0.11) ** 2)) * (arch > 0)
    blend(image, 0.2 * rgb(appearance.skin), 0.85 * lashes)
