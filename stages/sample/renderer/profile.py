"""The smoothed side profile of a body, as a curve parametrised by its length."""

from dataclasses import dataclass

import cv2
import numpy as np

from stages.sample.renderer.bodies import Body, Point

FloatArray = np.ndarray
_STEP = 0.01
_SMOOTHING = 0.045


@dataclass(frozen=True)
class Profile:
    """A curve from under the front bumper over the roof to under the rear one, in metres.

    `s` (N,) is the length along the curve, `x` and `z` (N,) its points; `slope` (N,) is dz/ds in -1..1.
    `marks` gives the length `s` at the named corners of the body.
    """

    s: FloatArray
    x: FloatArray
    z: FloatArray
    slope: FloatArray
    marks: dict[str, float]

    def at(self, s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """x, z and slope at the given lengths."""
        return tuple(np.interp(s, self.s, values) for values in (self.x, self.z, self.slope))  # type: ignore[return-value]

    def front_s(self, z: float) -> float:
        """The length at which the nose reaches the height `z`."""
        nose = self.s <= self.marks["cowl"]
        return float(np.interp(z, np.maximum.accumulate(self.z[nose]), self.s[nose]))

    def rear_s(self, z: float) -> float:
        """The length at which the tail comes down to the height `z`."""
        tail = self.s >= self.marks["rear_header"]
        return float(np.interp(z, np.maximum.accumulate(self.z[tail][::-1]), self.s[tail][::-1]))

    def heights(self, x: FloatArray) -> FloatArray:
        """The largest z of the profile above each x; -1 in front of and behind the car."""
        bins = np.full(int(self.x.max() / _STEP) + 2, -1.0)
        np.maximum.at(bins, np.clip(np.round(self.x / _STEP).astype(int), 0, len(bins) - 1), self.z)
        return np.interp(x, np.arange(len(bins)) * _STEP, bins, left=-1.0, right=-1.0)

    def stations(self, count: int) -> FloatArray:
        """`count` lengths `s`, closer together where the curve bends."""
        turn = np.abs(np.gradient(np.unwrap(np.arctan2(np.gradient(self.z), np.gradient(self.x)))))
        density = np.cumsum(_STEP + 0.12 * turn)
        return np.interp(np.linspace(density[0], density[-1], count), density, self.s)


def _corners(body: Body) -> list[tuple[str, Point]]:
    low, length = body.clearance, body.length
    bumper = min(0.55, body.nose[1] - 0.15)
    roof_middle = 0.55 * body.header[0] + 0.45 * body.rear_header[0]
    bonnet = (0.5 * (body.nose[0] + body.cowl[0]), 0.42 * body.nose[1] + 0.58 * body.cowl[1] + 0.01)
    tail_bumper = min(0.58, body.deck[1] - 0.2)
    corners: list[tuple[str, Point]] = [
        ("front_bottom", (0.16, low)), ("front_low", (0.03, low + 0.08)), ("bumper", (0.0, 0.5 * (low + bumper))),
        ("bumper_top", (0.01, bumper)), ("nose", body.nose), ("bonnet", bonnet), ("cowl", body.cowl),
        ("header", body.header), ("roof", (roof_middle, body.height)), ("rear_header", body.rear_header),
        ("rear_glass", body.rear_glass),
    ]  # fmt: skip
    corners += [
        ("deck", body.deck), ("tail_bumper", (length - 0.01, tail_bumper)),
        ("rear_bumper", (length, 0.5 * (low + tail_bumper))), ("rear_low", (length - 0.03, low + 0.08)),
        ("rear_bottom", (length - 0.16, low)),
    ]  # fmt: skip
    return corners


def trace(body: Body) -> Profile:
    """The profile of `body`: its corners joined, resampled at 1 cm and smoothed with a 4.5 cm Gaussian."""
    names, points = zip(*_corners(body), strict=True)
    corners = np.array(points)
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    s = np.arange(0.0, lengths[-1], _STEP)
    raw = np.stack([np.interp(s, lengths, corners[:, axis]) for axis in (0, 1)])
    smooth = cv2.GaussianBlur(raw, (0, 0), sigmaX=_SMOOTHING / _STEP, sigmaY=1e-3, borderType=cv2.BORDER_REPLICATE)
    x, z = smooth
    slope = np.gradient(z) / np.maximum(np.hypot(np.gradient(x), np.gradient(z)), 1e-9)
    return Profile(s, x, z, slope, dict(zip(names, lengths.tolist(), strict=True)))
