"""The ten body types: side profiles, windows, doors and wheels, in metres.

Car coordinates: x runs from the foremost point (0) to the rearmost (`length`), y from the middle to the
left side of a car seen from behind, z from the ground upwards.
"""

from dataclasses import dataclass, replace

import numpy as np

Point = tuple[float, float]


@dataclass(frozen=True)
class Body:
    """One car body; lengths in metres, points are (x, z) on the middle plane.

    `cowl` is the lower edge of the windscreen, `header` its upper edge, `rear_header` the upper edge of the
    rear window, `rear_glass` its lower edge and `deck` the rear edge of the boot lid, load bed or tailgate.
    `belt` gives the lower edge of the side windows at the front and at the rear end, `windows` the (from, to)
    of each side window at that height, `doors` the vertical door gaps. `tumblehome` is the inward lean of the
    side windows (dy/dz).
    """

    name: str
    length: float
    width: float
    height: float
    front_axle: float
    wheelbase: float
    wheel_radius: float
    clearance: float
    nose: Point
    cowl: Point
    header: Point
    rear_header: Point
    rear_glass: Point
    deck: Point
    belt: Point
    windows: tuple[Point, ...]
    doors: tuple[float, ...]
    tumblehome: float = 0.34
    has_bed: bool = False
    has_rails: bool = False
    has_rear_window: bool = True

    @property
    def axles(self) -> tuple[float, float]:
        """x of the front and of the rear axle."""
        return self.front_axle, self.front_axle + self.wheelbase


_BODIES = (
    Body("compact", 3.55, 1.65, 1.53, 0.66, 2.32, 0.29, 0.17,
         (0.10, 0.80), (0.88, 1.00), (1.50, 1.46), (2.85, 1.49), (3.40, 1.04), (3.48, 0.92), (0.94, 1.02),
         ((0.98, 2.15), (2.23, 2.95)), (1.05, 2.19), tumblehome=0.38),
    Body("hatchback", 4.25, 1.79, 1.47, 0.86, 2.64, 0.32, 0.16,
         (0.12, 0.74), (1.22, 0.98), (1.98, 1.42), (3.55, 1.42), (4.08, 1.04), (4.18, 0.92), (0.92, 0.99),
         ((1.36, 2.30), (2.37, 3.18), (3.26, 3.66)), (1.36, 2.33, 3.22)),
    Body("sedan", 4.78, 1.83, 1.44, 0.88, 2.83, 0.33, 0.16,
         (0.13, 0.72), (1.40, 0.96), (2.14, 1.39), (3.28, 1.40), (4.02, 1.05), (4.69, 1.03), (0.92, 0.99),
         ((1.52, 2.48), (2.55, 3.42), (3.49, 3.74)), (1.52, 2.51, 3.46)),
    Body("coupe", 4.55, 1.88, 1.29, 0.93, 2.68, 0.345, 0.13,
         (0.14, 0.65), (1.66, 0.89), (2.36, 1.24), (3.02, 1.26), (4.05, 0.93), (4.45, 0.89), (0.86, 0.91),
         ((1.80, 2.86), (2.95, 3.52)), (1.66, 2.92), tumblehome=0.42),
    Body("wagon", 4.80, 1.83, 1.48, 0.88, 2.83, 0.33, 0.16,
         (0.13, 0.72), (1.40, 0.96), (2.14, 1.40), (4.22, 1.43), (4.66, 1.03), (4.74, 0.92), (0.92, 0.98),
         ((1.52, 2.48), (2.55, 3.42), (3.50, 4.30)), (1.52, 2.51, 3.46), has_rails=True),
    Body("limousine", 6.75, 1.87, 1.48, 0.90, 4.60, 0.34, 0.16,
         (0.12, 0.76), (1.45, 0.99), (2.12, 1.42), (5.25, 1.44), (5.85, 1.07), (6.66, 1.04), (0.94, 1.00),
         ((1.56, 2.44), (2.52, 3.32), (3.40, 4.20), (4.28, 5.18), (5.25, 5.50)), (1.56, 2.48, 4.24, 5.22)),
    Body("minivan", 4.85, 1.94, 1.77, 0.92, 3.02, 0.33, 0.16,
         (0.12, 0.84), (0.92, 1.09), (2.00, 1.69), (4.38, 1.70), (4.74, 1.14), (4.80, 1.00), (1.00, 1.07),
         ((1.22, 1.52), (1.60, 2.46), (2.54, 3.52), (3.60, 4.46)), (1.50, 2.50, 3.56), tumblehome=0.26),
    Body("suv", 4.70, 1.93, 1.82, 0.88, 2.76, 0.39, 0.25,
         (0.10, 1.04), (1.42, 1.18), (1.98, 1.73), (4.28, 1.75), (4.58, 1.22), (4.64, 1.08), (1.14, 1.18),
         ((1.54, 2.40), (2.48, 3.32), (3.41, 4.24)), (1.50, 2.44, 3.37), tumblehome=0.26, has_rails=True),
    Body("pickup", 5.45, 1.93, 1.82, 0.95, 3.38, 0.40, 0.28,
         (0.10, 1.04), (1.46, 1.18), (2.04, 1.75), (3.22, 1.77), (3.46, 1.16), (5.36, 1.14), (1.14, 1.16),
         ((1.58, 2.40), (2.48, 3.22)), (1.54, 2.44, 3.32), tumblehome=0.26, has_bed=True),
    Body("van", 5.35, 2.02, 2.28, 0.98, 3.22, 0.345, 0.20,
         (0.10, 1.02), (0.72, 1.24), (1.50, 2.12), (5.16, 2.24), (5.27, 1.32), (5.30, 1.10), (1.20, 1.24),
         ((1.02, 1.92),), (1.00, 1.98, 3.22), tumblehome=0.10, has_rear_window=False),
)  # fmt: skip

BODIES: dict[str, Body] = {body.name: body for body in _BODIES}


def vary(body: Body, rng: np.random.Generator) -> Body:
    """A car of the same type with random proportions, so that similar types overlap in some of them.

    Length, width and height vary by 3.5 % (standard deviation), corners of roof and glass by some cm more.
    """
    stretch_x, stretch_y, stretch_z = np.clip(rng.normal(1.0, 0.035, 3), 0.93, 1.07).tolist()

    def moved(point: Point, spread: float) -> Point:
        x, z = np.clip(rng.normal(0.0, spread, 2), -2 * spread, 2 * spread).tolist()
        return point[0] * stretch_x + x, point[1] * stretch_z + 0.4 * z

    rear_shift = float(rng.uniform(-0.12, 0.12))
    rear_header, rear_glass = moved(body.rear_header, 0.02), moved(body.rear_glass, 0.02)
    return replace(
        body,
        length=body.length * stretch_x,
        width=body.width * stretch_y,
        height=body.height * stretch_z,
        front_axle=body.front_axle * stretch_x,
        wheelbase=body.wheelbase * stretch_x,
        wheel_radius=body.wheel_radius * float(rng.uniform(0.90, 1.08)),
        clearance=body.clearance * float(rng.uniform(0.85, 1.2)),
        nose=moved(body.nose, 0.03),
        cowl=moved(body.cowl, 0.05),
        header=moved(body.header, 0.03),
        rear_header=(rear_header[0] + (rear_shift if body.has_rear_window else 0.0), rear_header[1]),
        rear_glass=rear_glass,
        deck=(body.deck[0] * stretch_x, body.deck[1] * stretch_z),
        belt=(body.belt[0] * stretch_z, body.belt[1] * stretch_z),
        windows=tuple((start * stretch_x, end * stretch_x) for start, end in body.windows),
        doors=tuple(x * stretch_x for x in body.doors),
        has_rails=bool(rng.uniform() < (0.5 if body.has_rails else 0.12)) and not body.has_bed,
    )
