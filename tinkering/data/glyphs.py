"""Drawing of handwriting-like characters, for a data set that needs no download.

Every image starts from one variant of its character in the table of strokes. The control points
of the variant are jittered, joined by straight lines and Catmull-Rom curves, bent by a smooth
wave, stretched, slanted and turned. The result is framed as EMNIST frames its characters (the
ink's box 24 pixels on its larger side, centred in 28x28) and painted with a round, soft-edged pen.

A point on a Catmull-Rom curve is a weighted sum of control points. So one matrix per variant,
computed on import, turns control points into pen positions evenly spaced along the strokes, and
images are drawn in batches by matrix products.
"""

import itertools
import math
import re
from collections.abc import Sequence

import numpy as np
import torch

from tinkering.data.strokes import STROKES

IMAGE_SIZE = 28
INK_SIZE = 24  # larger side of the ink's box: EMNIST leaves 2 pixels on either side
PEN_POSITIONS = 96  # P, per image; the longest characters are about 100 pixels of line
CHUNK_SIZE = 100  # images drawn at once, which bounds the memory


def draw_glyphs(characters: Sequence[str], seed: int) -> torch.Tensor:
    """Draw one image per character, each of another shape, slant and pen.

    Equal arguments give equal images; the global random states are left alone.

    Args:
        characters: any of 0-9, A-Z and a-z.
        seed: a non-negative integer.

    Returns:
        uint8 (len(characters), 28, 28), upright, white ink (255) on black (0).

    Raises:
        ValueError: a character is none of the 62.
    """
    for character in characters:
        if character not in STROKES:
            raise ValueError(f"cannot draw {character!r}: not one of 0-9, A-Z and a-z")
    rng = np.random.default_rng(seed)
    images = torch.empty((len(characters), IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8)
    for start in range(0, len(characters), CHUNK_SIZE):
        chunk = slice(start, start + CHUNK_SIZE)
        first, end = np.array([_VARIANTS[character] for character in characters[chunk]]).T
        variants = rng.integers(first, end)  # rows of the tables of variants, (N,)
        images[chunk] = _render(_pen_positions(variants, rng), rng)
    return images


def _pen_positions(variants: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Pen positions (N, P, 2) in grid steps, each character with its own random deformation."""
    control = _CONTROL_POINTS[variants]  # (N, K, 2)
    n, k, _ = control.shape
    noise = rng.standard_normal((n, k + 2, 2))
    noise = noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:]  # adjacent points move alike
    control = control + rng.uniform(0.1, 0.4, (n, 1, 1)) * noise
    points = _CURVES[variants] @ control  # (N, P, K) @ (N, K, 2)
    # A plane wave, at most about one period across the character.
    wave_vector = rng.uniform(-0.5, 0.5, (n, 2, 1))  # radians per grid step
    phase = rng.uniform(0, 2 * math.pi, (n, 1, 1))
    amplitude = rng.uniform(-0.8, 0.8, (n, 1, 2))  # grid steps
    points += amplitude * np.sin(points @ wave_vector + phase)  # (N, 1, 2) * (N, P, 1)
    return torch.from_numpy(points @ _linear_maps(n, rng)).float()


def _linear_maps(n: int, rng: np.random.Generator) -> np.ndarray:
    """Random maps (N, 2, 2) for points @ map: stretch x, then slant, then rotate."""
    stretch = np.exp(rng.uniform(-0.3, 0.3, n))
    slant = rng.uniform(-0.5, 0.3, n)  # y points down: negative leans right, as most people do
    angle = rng.uniform(-0.17, 0.17, n)  # radians
    cos, sin = np.cos(angle), np.sin(angle)
    x_axis = np.stack([stretch * cos, stretch * sin], axis=1)  # where (1, 0) goes
    y_axis = np.stack([slant * cos - sin, slant * sin + cos], axis=1)  # where (0, 1) goes
    return np.stack([x_axis, y_axis], axis=1)


def _render(points: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Scale pen positions (N, P, 2) to the frame and draw them: uint8 (N, 28, 28).

    The pen leaves a Gaussian spot at every position. The spots add up to a line with a Gaussian
    profile of height `contrast`, clipped at 1: the more contrast, the sharper the line's edges.
    """
    width = torch.from_numpy(rng.uniform(1.6, 3.2, len(points))).float()  # at half intensity
    contrast = torch.from_numpy(rng.uniform(1.4, 4.0, len(points))).float()
    sigma = width / (2 * (2 * (2 * contrast).log()).sqrt())

    low, high = points.amin(dim=1), points.amax(dim=1)  # (N, 2)
    scale = (INK_SIZE - width) / (high - low).amax(dim=1)  # pixels per grid step
    centred = points - ((low + high) / 2)[:, None]
    pixels = centred * scale[:, None, None] + (IMAGE_SIZE - 1) / 2  # (N, P, 2)

    offsets = pixels[:, :, None] - torch.arange(IMAGE_SIZE)[:, None]  # (N, P, 28, 2)
    spots = (-0.5 * (offsets / sigma[:, None, None, None]) ** 2).exp()
    across, down = spots.unbind(dim=-1)  # a spot is the product of its profiles in x and y
    ink = down.transpose(1, 2) @ across  # (N, 28, P) @ (N, P, 28) -> (N, 28, 28)

    steps = (pixels[:, 1:] - pixels[:, :-1]).norm(dim=2)  # (N, P - 1)
    spacing = steps.median(dim=1).values  # the median ignores the jumps from stroke to stroke
    line_height = math.sqrt(2 * math.pi) * sigma / spacing  # what overlapping spots add up to
    ink *= (contrast / line_height)[:, None, None]
    return (ink.clamp(max=1) * 255).round().to(torch.uint8)


def _tabulate_variants() -> tuple[np.ndarray, np.ndarray]:
    """Control points (V, K, 2) and curves (V, P, K) of all variants, padded to the same K."""
    parsed = [_parse(variant) for variants in STROKES.values() for variant in variants]
    most = max(len(control) for control, _ in parsed)
    control_points = np.zeros((len(parsed), most, 2))
    curves = np.zeros((len(parsed), PEN_POSITIONS, most))
    for row, (control, curve) in enumerate(parsed):
        control_points[row, : len(control)] = control
        curves[row, :, : len(control)] = curve
    return control_points, curves


def _parse(variant: str) -> tuple[np.ndarray, np.ndarray]:
    """Control points (K, 2) of a variant, and the matrix (P, K) from them to pen positions."""
    control = np.array([[int(x), int(y)] for x, y in re.findall(r"\d\d", variant)])
    weights = iter(np.eye(len(control)))  # each control point as a weighted sum of them all
    paths, distances = [], []
    for stroke in variant.split():
        smooth_runs = [[next(weights) for _ in run.split("~")] for run in stroke.split("-")]
        path = np.concatenate([_catmull_rom(np.array(run)) for run in smooth_runs])  # (M, K)
        steps = np.linalg.norm(np.diff(path @ control, axis=0), axis=1)
        paths.append(path)
        distances.append(np.concatenate([[0], steps.cumsum()]))  # (M,) from the stroke's start

    length = sum(distance[-1] for distance in distances)
    pen = (np.arange(PEN_POSITIONS) + 0.5) * length / PEN_POSITIONS
    pieces = []
    for path, distance in zip(paths, distances, strict=True):
        on_path = pen[(pen >= 0) & (pen < distance[-1])]
        pieces.append(np.stack([np.interp(on_path, distance, w) for w in path.T], axis=1))
        pen = pen - distance[-1]
    return control, np.concatenate(pieces)


def _catmull_rom(knots: np.ndarray, samples: int = 16) -> np.ndarray:
    """The smooth curve through knots (M, K), with `samples` points to each of its segments."""
    if len(knots) == 1:
        return knots
    # Extrapolated knots before the first and after the last: the ends bend on as parabolas.
    before = 3 * knots[0] - 3 * knots[1] + knots[:3][-1]
    after = 3 * knots[-1] - 3 * knots[-2] + knots[-3:][0]
    padded = np.stack([before, *knots, after])  # (M + 2, K)
    basis = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    powers = np.vander(np.arange(samples) / samples, 4, increasing=True)  # (samples, 4)
    segments = [powers @ basis @ padded[i : i + 4] for i in range(len(knots) - 1)]
    return np.concatenate([*segments, knots[-1:]])


_CONTROL_POINTS, _CURVES = _tabulate_variants()
# The rows of a character's variants in these tables: the first, and the one after the last.
_ENDS = np.cumsum([0, *map(len, STROKES.values())])
_VARIANTS = dict(zip(STROKES, itertools.pairwise(_ENDS), strict=True))
