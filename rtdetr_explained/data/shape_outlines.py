"""The outlines of the shape classes as polygons, in a unit square around the origin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outline:
    """One class of shapes: a polygon, the freedom it has, and points along its edge.

    `points` (N, 2) and `hole` (M, 2) or None are xy, y down, about 1 unit wide; `corners` are the indices of the points
    where the polygon turns sharply; `edge` (24, 2) are points evenly spread along polygon and hole. A shape is turned
    by at most `max_turn` radians either way and stretched by at most `max_stretch` (a factor above 1) along one axis,
    so that no class can be turned or stretched into another.
    """

    points: np.ndarray
    hole: np.ndarray | None
    corners: tuple[int, ...]
    edge: np.ndarray
    max_turn: float
    max_stretch: float


def _arc(radius: float, start: float, stop: float, steps: int, center_x: float = 0.0) -> np.ndarray:
    angle = np.linspace(start, stop, steps)
    return np.stack([center_x + radius * np.cos(angle), radius * np.sin(angle)], axis=1)  # N 2


def _circle(radius: float) -> np.ndarray:
    return _arc(radius, 0.0, 2 * math.pi * 63 / 64, 64)


def _star() -> np.ndarray:
    angle = np.arange(10) * math.pi / 5 - math.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 0.5, 0.21)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x, y - 2.5], axis=1) / 33


def _crescent() -> np.ndarray:
    """A disc of radius 0.5 without a smaller disc that is shifted to the right."""
    radius, bite, shift = 0.5, 0.42, 0.22
    x = (radius**2 - bite**2 + shift**2) / (2 * shift)  # where the two circles meet
    outer, inner = math.acos(x / radius), math.acos((x - shift) / bite)
    back = _arc(radius, outer, 2 * math.pi - outer, 40)
    front = _arc(bite, 2 * math.pi - inner, inner, 32, center_x=shift)
    return np.concatenate([back, front[1:-1]]) + np.array([0.12, 0.0])


def _cross() -> np.ndarray:
    a, b = 0.5, 0.16
    return np.array(
        [(-b, -a), (b, -a), (b, -b), (a, -b), (a, b), (b, b), (b, a), (-b, a), (-b, b), (-a, b), (-a, -b), (-b, -b)]
    )


def _along(points: np.ndarray, count: int) -> np.ndarray:
    """`count` points at equal distances along a closed polygon."""
    closed = np.concatenate([points, points[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.linspace(0, length[-1], count, endpoint=False)
    return np.stack([np.interp(at, length, closed[:, 0]), np.interp(at, length, closed[:, 1])], axis=1)


def _corners(points: np.ndarray) -> tuple[int, ...]:
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    turn = np.abs(np.arctan2(cross, (before * after).sum(axis=1)))
    return tuple(np.flatnonzero(turn > math.radians(20)).tolist())


def _outline(points: object, max_turn_degrees: float, max_stretch: float, hole: np.ndarray | None = None) -> Outline:
    polygon = np.asarray(points, dtype=np.float64)
    edge = _along(polygon, 24) if hole is None else np.concatenate([_along(polygon, 14), _along(hole, 10)])
    return Outline(polygon, hole, _corners(polygon), edge, math.radians(max_turn_degrees), max_stretch)


OUTLINES: dict[str, Outline] = {
    "circle": _outline(_circle(0.5), 180, 1.06),
    "ring": _outline(_circle(0.5), 180, 1.10, hole=_circle(0.29)),
    "ellipse": _outline(_circle(0.5) * [1.0, 0.52], 180, 1.12),
    "square": _outline([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)], 45, 1.10),
    "triangle": _outline([(0.0, -0.55), (0.5, 0.32), (-0.5, 0.32)], 60, 1.18),
    "star": _outline(_star(), 36, 1.10),
    "heart": _outline(_heart(), 40, 1.12),
    "cross": _outline(_cross(), 45, 1.12),
    "crescent": _outline(_crescent(), 180, 1.10),
    "arrow": _outline(
        [(0.5, 0.0), (0.06, -0.36), (0.06, -0.13), (-0.5, -0.13), (-0.5, 0.13), (0.06, 0.13), (0.06, 0.36)], 180, 1.12
    ),
    "hourglass": _outline(
        [(-0.36, -0.5), (0.36, -0.5), (0.05, 0.0), (0.36, 0.5), (-0.36, 0.5), (-0.05, 0.0)], 90, 1.12
    ),
    "bolt": _outline(
        [(0.02, -0.5), (-0.30, 0.08), (-0.04, 0.08), (-0.14, 0.5), (0.30, -0.12), (0.05, -0.12), (0.26, -0.5)], 35, 1.12
    ),
}
