"""The appearance of a synthetic speaker: proportions, colours, light and camera.

Lengths are in *face units*: the origin is between the eyes, x points right and y down, and the unit is half
the width of the face (56-66 px in a frame of 360x288), so that the same proportions serve every speaker. They
were measured on GRID's clips, then adjusted until dlib found the faces and placed its landmarks correctly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]  # RGB, 0 to 1

# RGB, light to dark; a speaker's tone is interpolated between two neighbours.
SKIN_TONES = np.array(
    [[0.95, 0.77, 0.68], [0.91, 0.71, 0.56], [0.80, 0.58, 0.42], [0.62, 0.42, 0.29], [0.43, 0.28, 0.20]]
)
HAIR_COLOURS = [
    (0.09, 0.07, 0.06),
    (0.22, 0.14, 0.09),
    (0.38, 0.25, 0.14),
    (0.66, 0.51, 0.29),
    (0.5, 0.48, 0.46),
]
EYE_COLOURS = [(0.22, 0.13, 0.07), (0.30, 0.40, 0.52), (0.30, 0.38, 0.24), (0.40, 0.28, 0.14)]


@dataclass(frozen=True)
class Appearance:
    """Everything that distinguishes two speakers. Lengths are in face units unless stated otherwise."""

    unit: float  # px, half the width of the face
    centre: tuple[float, float]  # px, the point between the eyes
    skin: Colour
    lips: Colour
    hair: Colour
    iris: Colour
    clothes: Colour
    background: Colour
    light: tuple[float, float, float]  # vector to the light: right, down, towards the camera
    light_colour: Colour  # white balance included: GRID's is often far from white
    ambient: float  # share of light without a direction
    specular: float  # brightness of highlights
    nose: float  # y of the base of the nose
    mouth: float  # y of the closed lips
    chin: float
    jaw_power: float  # 2 for a pointed jaw, 3 for a square one
    nose_size: float
    brow_weight: float
    brow_arch: float
    eye_size: float
    eye_slant: float
    mouth_width: float  # from the middle to a corner
    upper_lip: float
    lower_lip: float
    smile: float  # how much higher the corners are than the middle at rest
    effort: float  # scale of the movements of the mouth, 1 on average
    teeth_visibility: float  # how much the teeth show, 1 on average
    hairline: float
    fringe: float  # slope of the hairline to the right
    hair_volume: float
    hair_length: float  # y of the lower end of the hair at the sides
    stubble: float
    glasses: bool
    blur: float  # px, standard deviation of the lens blur
    noise: float  # grey levels, standard deviation


def random_appearance(rng: np.random.Generator) -> Appearance:
    """Sample a speaker; ``rng`` determines everything about them."""

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    tone = (len(SKIN_TONES) - 1.001) * between(0, 1) ** 1.4
    skin = SKIN_TONES[int(tone)] * (1 - tone % 1) + SKIN_TONES[int(tone) + 1] * (tone % 1)
    skin = skin * rng.uniform(0.95, 1.05, 3)
    # Lips must be darker than dark skin, or dlib places them at the shadow of the nose.
    lip_tint = np.array([between(0.70, 0.84), between(0.48, 0.58), between(0.50, 0.64)])
    lips = skin * lip_tint * (1 - 0.04 * tone)
    nose, chin = between(0.64, 0.71), between(1.54, 1.66)
    blue_screen = rng.random() < 0.4
    grey = between(0.25, 0.8)
    background = np.array([0.15, 0.5, 0.7]) if blue_screen else grey + rng.uniform(-0.15, 0.15, 3)
    return Appearance(
        unit=between(56, 66),
        centre=(between(165, 195), between(114, 142)),
        skin=_colour(skin),
        lips=_colour(lips),
        hair=_colour(np.array(HAIR_COLOURS[rng.integers(3 if tone > 2 else 5)]) * between(0.8, 1.2)),
        iris=EYE_COLOURS[0 if tone > 2 else rng.integers(len(EYE_COLOURS))],
        clothes=_colour(rng.uniform(0.08, 0.75, 3)),
        background=_colour(background * rng.uniform(0.85, 1.15, 3)),
        light=(between(-0.55, 0.55), between(-0.6, -0.15), 1.0),
        light_colour=_colour(np.array([between(0.86, 1.0), between(0.84, 0.98), between(0.66, 1.0)])),
        ambient=between(0.38, 0.58),
        specular=between(0.02, 0.12),
        nose=nose,
        mouth=nose + between(0.34, 0.40) * (chin - nose),
        chin=chin,
        jaw_power=between(2.0, 3.0),
        nose_size=between(0.8, 1.25),
        brow_weight=between(0.035, 0.065),
        brow_arch=between(0.03, 0.10),
        eye_size=between(0.17, 0.205),
        eye_slant=between(-0.02, 0.03),
        mouth_width=between(0.34, 0.43),
        upper_lip=between(0.07, 0.115),
        lower_lip=between(0.10, 0.155),
        smile=between(-0.005, 0.035),
        effort=between(0.8, 1.15),
        teeth_visibility=between(0.65, 1.2),
        hairline=between(-1.05, -0.72) if rng.random() < 0.8 else between(-1.4, -1.15),
        fringe=between(-0.25, 0.25),
        hair_volume=between(0.06, 0.30),
        hair_length=between(0.9, 2.6) if rng.random() < 0.4 else between(-0.1, 0.35),
        stubble=between(0.08, 0.28) if rng.random() < 0.3 else 0.0,
        glasses=bool(rng.random() < 0.2),
        blur=between(0.35, 0.7),
        noise=between(0.8, 2.5),
    )


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = np.clip(values, 0, 1).tolist()
    return red, green, blue
