"""What several tests need: pictures that show when they are turned or mirrored, stages run as from the command line."""

import sys

import numpy as np
import pytest

import stages

assert stages.reproducibility() == stages.BITS, "expected params.yaml with `runtime.reproducibility: bits`"

CORNERS = {"top_left": (255, 0, 0), "top_right": (0, 255, 0), "bottom_left": (0, 0, 255), "bottom_right": (255, 255, 0)}


@pytest.fixture
def corners():
    """A function that draws `(height, width, 3)` uint8 RGB with quarters of red, green, blue and yellow."""

    def draw(width, height):
        picture = np.empty((height, width, 3), np.uint8)
        x, y = -(-width // 2), -(-height // 2)
        picture[:y, :x], picture[:y, x:] = CORNERS["top_left"], CORNERS["top_right"]
        picture[y:, :x], picture[y:, x:] = CORNERS["bottom_left"], CORNERS["bottom_right"]
        return picture

    return draw


@pytest.fixture
def run(monkeypatch):
    """A function that calls the `main` of a stage's module with options such as `class_counts=path`."""

    def call(module, **options):
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        monkeypatch.setattr(sys, "argv", [module.__name__, *words])
        module.main()

    return call
