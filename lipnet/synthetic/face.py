"""The animated face of a synthetic speaker: mouth, jaw, blink and pose of each frame over a still head.

A frame costs little because little changes: open and closed eyes are blended, the lower face is remapped for
the jaw, the mouth is painted into a small window, and one warp of the whole image moves the head.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from lipnet.synthetic.appearance import Appearance
from lipnet.synthetic.head import HEIGHT, WIDTH, Head, with_eyes
from lipnet.synthetic.raster import Image, blend, bump, coverage, rgb, to_uint8

NOISE_ZERO = 128  # value of the noise field where there is no noise
NOISE_MARGIN = 32  # px by which the noise field is larger than the frame; each frame uses another crop of it
JAW_GAP, TEETH_GAP = 0.33, 0.09  # face units between the lips when the jaw or teeth channel is 1
CORNER_DROP = 0.26  # share of the gap by which the corners of the mouth follow the jaw
JAW_DROP = 0.6  # share of the gap by which the chin moves down


class Mouth(NamedTuple):
    """Articulation channels, each from 0 (at rest) to 1."""

    jaw: float  # jaw lowered
    spread: float  # corners pulled apart (the vowel of "green")
    round: float  # lips narrowed and pushed out ("two")
    teeth: float  # lips parted over closed teeth ("six")
    tongue: float  # tip raised; at 1 it shows between the teeth ("three")
    press: float  # lips pressed together (b, m, p)
    tuck: float  # lower lip under the upper teeth (f, v)


class Pose(NamedTuple):
    """Pose and exposure of one frame, relative to the speaker's position in the still image."""

    dx: float = 0.0  # px to the right
    dy: float = 0.0  # px down
    tilt: float = 0.0  # degrees, clockwise
    scale: float = 1.0
    blink: float = 0.0  # 0 eyes open, 1 closed
    gain: float = 1.0  # brightness
    noise: tuple[int, int] = (0, 0)  # top left corner of the crop of the noise field, each 0 to NOISE_MARGIN


class Lips(NamedTuple):
    """Outlines of the lips at W positions x: (W,) distances below the closed lips, in face units."""

    across: np.ndarray  # (W,) 0 in the middle, 1 at the corners and beyond
    half_width: float
    gap: float  # between the lips, in the middle
    upper_out: np.ndarray
    upper_in: np.ndarray
    lower_in: np.ndarray
    lower_out: np.ndarray


def outline_lips(appearance: Appearance, mouth: Mouth, x: np.ndarray) -> Lips:
    """The four outlines of the lips at ``x`` ((W,) float32, face units from the middle of the mouth).

    Each follows a power of the arch 1 - t^2, where t is 0 in the middle and 1 at the corners: a low power is
    round, a high one keeps the lips together near the corners.
    """
    effort, free = appearance.effort, 1 - min(mouth.press, 1.0)
    wider = 0.17 * mouth.spread - 0.38 * mouth.round - 0.06 * mouth.jaw
    half_width = appearance.mouth_width * (1 + effort * wider)
    parted = JAW_GAP * mouth.jaw + TEETH_GAP * appearance.teeth_visibility * mouth.teeth
    gap = effort * parted * free * (1 - 0.8 * mouth.tuck)
    across = np.minimum(np.abs(x) / half_width, 1)
    arch = 1 - across**2
    opening = arch ** (1.2 - 0.6 * mouth.round)
    raised = 0.05 * mouth.tuck * free
    corner = CORNER_DROP * gap
    rest = -appearance.smile * across**2
    upper_in = rest + corner - ((0.2 * gap + corner) + raised) * opening
    lower_in = rest + corner + (0.8 * gap - corner) * opening
    fullness = 1 - 0.35 * mouth.press + 0.3 * mouth.round - 0.1 * mouth.spread
    bow = 1 - 0.22 * np.exp(-((across / 0.16) ** 2))  # Cupid's bow
    upper = appearance.upper_lip * fullness * (1 - 0.15 * mouth.tuck)
    lower = appearance.lower_lip * fullness * (1 - 0.5 * mouth.tuck)
    return Lips(
        across=across,
        half_width=half_width,
        gap=gap + raised,
        upper_out=upper_in - upper * bow * arch**0.8,
        upper_in=upper_in,
        lower_in=lower_in,
        lower_out=lower_in + lower * arch**0.65,
    )


class SyntheticFace:
    """A speaker's face: the still head is rendered once, then `render` gives each frame.

    Args:
        appearance: the speaker's.
        rng: for the textures of hair and skin and the noise of the camera.
    """

    def __init__(self, appearance: Appearance, rng: np.random.Generator) -> None:
        self.appearance = appearance
        columns, rows = np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32)
        self._x = (columns - appearance.centre[0]) / appearance.unit
        self._y = (rows - appearance.centre[1]) / appearance.unit
        light_colour = rgb(appearance.light_colour)
        head, light = Head(appearance, self._x, self._y, rng).render()
        self._open, self._closed = (
            to_uint8(with_eyes(head, appearance, self._x, self._y, light, closed) * light_colour)
            for closed in (False, True)
        )
        self._light = light[..., None] * light_colour
        self._eyes = self._window((-1.0, 1.0), (-0.25, 0.25))
        self._mouth = self._window((-0.62, 0.62), (appearance.mouth - 0.30, appearance.mouth + 0.62))
        self._jaw = self._window((-1.25, 1.25), (appearance.nose, appearance.chin + 0.55))
        self._jaw_weight = _jaw_weight(appearance, self._x[None, self._jaw[1]], self._y[self._jaw[0], None])
        noise = rng.normal(0, appearance.noise, (HEIGHT + NOISE_MARGIN, WIDTH + NOISE_MARGIN, 1))
        self._noise = np.repeat(np.rint(noise + NOISE_ZERO), 3, axis=2).astype(np.uint8)

    def render(self, mouth: Mouth, pose: Pose) -> np.ndarray:
        """One frame, (288, 360, 3) uint8 RGB."""
        image = self._open.copy()
        if pose.blink > 0:
            open_eyes, closed_eyes = self._open[self._eyes], self._closed[self._eyes]
            image[self._eyes] = cv2.addWeighted(open_eyes, 1 - pose.blink, closed_eyes, pose.blink, 0)
        self._drop_jaw(image, mouth)
        self._paint_mouth(image, mouth)
        return self._capture(image, pose)

    def corners(self, mouth: Mouth, pose: Pose) -> np.ndarray:
        """The corners of the mouth in a rendered frame: (2, 2) float64, left then right, x and y in px."""
        appearance = self.appearance
        lips = outline_lips(appearance, mouth, np.array([np.inf], np.float32))
        x = np.array([-lips.half_width, lips.half_width])
        y = np.full(2, appearance.mouth + lips.upper_in[0])
        still_x = appearance.centre[0] + appearance.unit * x
        still_y = appearance.centre[1] + appearance.unit * y
        return (self._warp(pose) @ np.stack([still_x, still_y, np.ones(2)])).T

    def _window(self, x: tuple[float, float], y: tuple[float, float]) -> tuple[slice, slice]:
        """The slices of rows and columns between the given borders, in face units."""
        columns, rows = np.searchsorted(self._x, x), np.searchsorted(self._y, y)
        return slice(*rows.tolist()), slice(*columns.tolist())

    def _drop_jaw(self, image: np.ndarray, mouth: Mouth) -> None:
        """Move the lower face down with the jaw, in place."""
        drop = JAW_DROP * self.appearance.effort * JAW_GAP * mouth.jaw * self.appearance.unit  # px
        grid = np.indices(self._jaw_weight.shape, dtype=np.float32)
        from_rows = grid[0] - np.float32(drop) * self._jaw_weight
        image[self._jaw] = cv2.remap(image[self._jaw].copy(), grid[1], from_rows, cv2.INTER_LINEAR)

    def _paint_mouth(self, image: np.ndarray, mouth: Mouth) -> None:
        rows, columns = self._mouth
        x, y = self._x[columns], self._y[rows] - self.appearance.mouth
        window = image[self._mouth].astype(np.float32) / 255
        paint_mouth(window, self.appearance, mouth, x, y, self._light[self._mouth])
        image[self._mouth] = to_uint8(window)

    def _capture(self, image: np.ndarray, pose: Pose) -> np.ndarray:
        """Pose the head, then apply the effects of a camera: blur, exposure, noise."""
        rgba = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)  # OpenCV warps four channels in half the time of three
        rgba = cv2.warpAffine(rgba, self._warp(pose), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        blurred = cv2.GaussianBlur(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), (3, 3), self.appearance.blur)
        top, left = pose.noise
        noise = self._noise[top : top + HEIGHT, left : left + WIDTH]
        return np.asarray(cv2.addWeighted(blurred, pose.gain, noise, 1, -NOISE_ZERO))

    def _warp(self, pose: Pose) -> np.ndarray:
        """The (2, 3) affine map from the still image to the frame, in px; rotates about the head's centre."""
        warp = cv2.getRotationMatrix2D(self.appearance.centre, -pose.tilt, pose.scale)
        warp[:, 2] += np.array([pose.dx, pose.dy])
        return np.asarray(warp, np.float64)


def paint_mouth(
    window: Image, appearance: Appearance, mouth: Mouth, x: np.ndarray, y: np.ndarray, light: Image
) -> None:
    """Paint the mouth into ``window``, in place.

    Args:
        window: (H, W, 3) float32 RGB, the skin around the mouth.
        appearance, mouth: of the speaker, in this frame.
        x, y: (W,) and (H,) float32, the window's columns and rows in face units from the middle of the mouth.
        light: (H, W, 3) float32, the light on the skin there.
    """
    lips, down = outline_lips(appearance, mouth, x), y[:, None]
    parting = (lips.upper_in + lips.lower_in) / 2

    def below(curve: np.ndarray) -> Image:
        return coverage((down - curve) * appearance.unit)

    inside = lips.across < 1
    shadow = 0.30 * bump(x, down, 0, lips.lower_out.max() + 0.05, 0.6 * lips.half_width, 0.055)
    shadow += 0.40 * bump(np.abs(x), down, lips.half_width, lips.upper_in[-1], 0.05, 0.035)
    window *= (1 - shadow)[..., None]

    # The upper lip faces down and is darker; otherwise dlib takes a row of teeth for the edge of the lip.
    area = below(lips.upper_out) * (1 - below(lips.lower_out)) * inside
    upper = 1 - below(parting)
    shine = bump(x, down, 0, (lips.lower_in + lips.lower_out) / 2 - 0.01, 0.6 * lips.half_width, 0.035)
    shade = (1.0 - 0.24 * upper) + 0.22 * shine * (1 - upper)
    blend(window, shade[..., None] * light * rgb(appearance.lips), 0.92 * area)

    seam = np.exp(-(((down - parting) / 0.017) ** 2)) * np.sqrt(1 - lips.across**2)
    blend(window, 0.3 * light * rgb(appearance.lips), 0.85 * seam * inside)
    aperture = below(lips.upper_in) * (1 - below(lips.lower_in)) * inside
    if lips.gap > 0.01:
        interior = _mouth_interior(appearance, mouth, lips, x, down) * rgb(appearance.light_colour)
        blend(window, interior, aperture)


def _mouth_interior(appearance: Appearance, mouth: Mouth, lips: Lips, x: np.ndarray, down: Image) -> Image:
    """What is visible between the lips, (H, W, 3): a dark cavity, both rows of teeth, the tongue."""
    image = np.empty((down.shape[0], x.shape[0], 3), np.float32)
    image[:] = (0.13, 0.05, 0.05)
    # y of the lower edge of the upper teeth, and of the upper edge of the lower ones
    edge = -0.035 + 0.075 * appearance.teeth_visibility * max(mouth.teeth, mouth.tuck)
    lower_edge = 0.046 + JAW_GAP * appearance.effort * mouth.jaw
    rounding = 0.05 * lips.across**2
    upper = coverage((edge - rounding - down) * appearance.unit)
    lower = coverage((down - lower_edge - rounding) * appearance.unit)
    gaps = 0.93 + 0.07 * np.cos(x * (2 * np.pi / 0.085))
    enamel = gaps * (0.78 - 0.4 * lips.across**2)
    blend(image, enamel[None, :, None] * rgb([1.0, 0.96, 0.88]), np.maximum(upper, 0.8 * lower))
    top = 0.6 * lips.gap + (edge - 0.03 - 0.6 * lips.gap) * mouth.tongue**1.5
    reach = (0.75 - 0.25 * mouth.tongue) * lips.half_width
    tongue = coverage((down - top - 0.10 * (x / reach) ** 2) * appearance.unit)
    blend(image, rgb([0.62, 0.30, 0.29]) * (0.65 + 0.45 * mouth.tongue**3), 0.9 * tongue)
    return image


def _jaw_weight(appearance: Appearance, x: Image, y: Image) -> Image:
    """The share of the jaw's movement that each point of the lower face follows, (H, W), 0 to 1."""
    above = np.clip((y - appearance.mouth + 0.08) / 0.35, 0, 1)
    falls = above * np.clip((appearance.chin + 0.5 - y) / 0.45, 0, 1)
    sides = np.clip((1.2 - np.abs(x)) / 0.55, 0, 1)
    return (falls * falls * (3 - 2 * falls) * sides * sides * (3 - 2 * sides)).astype(np.float32)
