"""A pinhole camera over a flat ground."""

from dataclasses import dataclass

import numpy as np

FloatArray = np.ndarray


@dataclass(frozen=True)
class Camera:
    """`position` (3,) metres in the world (z up); `rotation` (3, 3) with the rows right, down, forward.

    `focal` and `centre` (x, y) are in pixels; pixel (column i, row j) covers [i, i + 1) x [j, j + 1).
    """

    position: FloatArray
    rotation: FloatArray
    focal: float
    centre: tuple[float, float]

    def project(self, points: FloatArray) -> FloatArray:
        """Pixels and depths (..., 3) as (x, y, metres along the view) of world points (..., 3).

        Points behind the camera keep their negative depth; their x and y are meaningless.
        """
        local = (points - self.position) @ self.rotation.T
        depth = local[..., 2]
        safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        x = self.centre[0] + self.focal * local[..., 0] / safe
        y = self.centre[1] + self.focal * local[..., 1] / safe
        return np.stack([x, y, depth], axis=-1)

    def rays(self, pixels: FloatArray) -> FloatArray:
        """World directions (..., 3) with depth 1 through the pixel positions (..., 2)."""
        local = np.concatenate(
            [(pixels - np.array(self.centre)) / self.focal, np.ones((*pixels.shape[:-1], 1))], axis=-1
        )
        return local @ self.rotation

    def ray_grid(self, size_wh: tuple[int, int]) -> FloatArray:
        """`rays` through the centres of all pixels of an image, (H, W, 3) float32."""
        x, y = (np.arange(length) + 0.5 for length in size_wh)
        across = self.rays(np.stack([x, np.zeros_like(x)], axis=-1))
        down = self.rays(np.stack([np.zeros_like(y), y], axis=-1)) - self.rays(np.zeros(2))
        return across.astype(np.float32) + down.astype(np.float32)[:, None]

    def moved(self, shift: tuple[float, float], factor: float) -> "Camera":
        """The camera of an image cropped at `shift` pixels and enlarged by `factor`."""
        x, y = self.centre
        return Camera(
            self.position, self.rotation, self.focal * factor, ((x - shift[0]) * factor, (y - shift[1]) * factor)
        )


def look_at(position: FloatArray, target: FloatArray, roll: float) -> FloatArray:
    """Rotation (3, 3) of a camera at `position` directed at `target`, rolled by `roll` radians."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll), np.sin(roll)
    return np.stack([cos * right + sin * down, cos * down - sin * right, forward])
