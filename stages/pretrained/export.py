"""Export a network of GluonCV's model zoo to ONNX.

The export runs in a separate environment with mxnet.
"""

import argparse
import tempfile
from pathlib import Path

import onnx

from stages.core import atomic, command, environment, programs, progress
from stages.core.errors import UserError
from stages.networks import onnx_graph
from stages.networks.catalogue import DETECTORS, SEGMENTERS

# Runs in that environment; it imports nothing of the project but its own folder.
_SCRIPT = "stages.pretrained.gluoncv.gluoncv_to_onnx"
# The supported networks, and the sides of their square inputs in pixels.
_SIDES = {name: spec.size for name, spec in DETECTORS.items() if name.startswith("gluoncv/")}
_SIDES |= {name: spec.size for name, spec in SEGMENTERS.items() if name.startswith("gluoncv/")}


class ExportError(UserError):
    """The network could not be exported."""


def export(network: str, size: int, weights: Path, python: Path, out: Path) -> None:
    """Export `network`, such as `gluoncv/center_net_resnet50_v1b_voc`, with the interpreter `python` to `out`.

    `size` is the side of its input in pixels; `weights` is the folder that may hold its weights, which are downloaded
    otherwise. Raises ExportError.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "network.onnx"
        words = {"network": network.removeprefix("gluoncv/"), "weights": weights, "size": size, "out": raw}
        options = [word for name, value in words.items() for word in (f"--{name}", str(value))]
        try:
            programs.run(python, "-m", _SCRIPT, *options)
        except programs.ProgramError as error:
            raise ExportError(f"{network}: {error}") from None
        with atomic.replacing(out) as temporary:
            onnx.save(onnx_graph.canonical(onnx.load(raw)), temporary)


def main() -> None:
    """Create the environment if it is missing, export the network, print its size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", required=True, choices=list(_SIDES), help="the network")
    parser.add_argument("--weights", type=Path, required=True, help="folder that may hold its weights, NAME.params")
    parser.add_argument("--environment", type=Path, required=True, help="folder of the environment, created if missing")
    parser.add_argument("--requirements", type=Path, required=True, help="lock file of that environment")
    parser.add_argument("--out", type=Path, required=True, help="file to write: .onnx")
    arguments = parser.parse_args()
    python = environment.ensure(arguments.environment, arguments.requirements)
    export(arguments.network, _SIDES[arguments.network], arguments.weights, python, arguments.out)
    progress.summary(f"export {arguments.network}", bytes=arguments.out.stat().st_size)


if __name__ == "__main__":
    command.run(main)
