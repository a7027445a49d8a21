"""Compositing: the pixels around the car removed or blurred."""

import cv2
import numpy as np


def compose(image: np.ndarray, mask: np.ndarray, background: np.ndarray) -> np.ndarray:
    """`image` where `mask` `(H, W)` uint8 is 255, `background` where it is 0, mixed between; both `(H, W, 3)` uint8."""
    weight = mask.astype(np.float32) / 255
    return cv2.blendLinear(image, background, weight, 1 - weight)


def remove(image: np.ndarray, mask: np.ndarray, fill: tuple[int, int, int]) -> np.ndarray:
    """`(H, W, 3)` uint8 RGB with one colour, `fill` (red, green, blue), where the mask is 0."""
    return compose(image, mask, np.full_like(image, fill))


def blur(image: np.ndarray, mask: np.ndarray, strength: float) -> np.ndarray:
    """`(H, W, 3)` uint8 RGB, blurred where the mask is 0; the Gaussian's sigma is `strength` x the longer side."""
    sigma = strength * max(image.shape[:2])
    return compose(image, mask, cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1)))
