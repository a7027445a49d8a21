"""Bring one downloaded network into the form that the stages read: ONNX, or arrays for a Keras backbone."""

import argparse
from pathlib import Path

import onnx

from stages.core import arrays, atomic, command, progress
from stages.networks import onnx_graph
from stages.pretrained import torch_pickle


class ConvertError(ValueError):
    """The folder does not hold one network of a known kind."""


def convert(source: Path, out: Path, heads: list[str]) -> None:
    """Write `source` to `out`: a TensorFlow.js graph cut at `heads`, an ONNX graph, or a PyTorch state."""
    if source.suffix == ".pth":
        arrays.write(out, torch_pickle.read(source))
        return
    with atomic.replacing(out) as temporary:
        if source.suffix == ".json":
            from stages.pretrained import tfjs  # TensorFlow: seconds to import, and needed for this kind alone

            graph = tfjs.to_onnx(source, heads)
        else:
            graph = onnx.load(source)
        exact = onnx_graph.multiply_before_clip(onnx_graph.free_batch(graph))
        onnx.save(onnx_graph.canonical(onnx_graph.remove_noop_reshapes(exact)), temporary)


def find(folder: Path) -> Path:
    """The one graph or state file in `folder`. Raises ConvertError when there is none, or several."""
    found = [path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".onnx", ".pth")]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ConvertError(f"{folder}: expected one .json, .onnx or .pth file, found {names}; run the fetch again")
    return found[0]


def main() -> None:
    """Convert one network named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder with the downloaded files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--heads", nargs="*", default=[], help="nodes at which a TensorFlow.js graph is cut")
    arguments = parser.parse_args()
    convert(find(arguments.source), arguments.out, arguments.heads)
    progress.summary(f"convert {arguments.out.name}", bytes=arguments.out.stat().st_size)


if __name__ == "__main__":
    command.run(main)
