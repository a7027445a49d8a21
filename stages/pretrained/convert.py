"""Convert one downloaded network to ONNX, or to arrays for a backbone."""

import argparse
from pathlib import Path

import onnx

from stages.core import arrays, atomic, command, progress
from stages.core.errors import UserError
from stages.networks import onnx_graph
from stages.pretrained import torch_pickle


class ConvertError(UserError):
    """The folder does not contain exactly one network of a supported format."""


def convert(source: Path, out: Path, heads: list[str]) -> None:
    """Write `source` to `out`: a TensorFlow.js graph cut at `heads`, an ONNX graph, or a PyTorch state."""
    if source.suffix == ".pth":
        arrays.write(out, torch_pickle.read(source))
        return
    with atomic.replacing(out) as temporary:
        if source.suffix == ".json":
            from stages.pretrained import tfjs  # TensorFlow: seconds to import, and needed for this format alone

            graph = tfjs.to_onnx(source, heads)
        else:
            graph = onnx.load(source)
        exact = onnx_graph.multiply_before_clip(onnx_graph.free_batch(graph))
        onnx.save(onnx_graph.canonical(onnx_graph.remove_noop_reshapes(exact)), temporary)


def find_source(folder: Path) -> Path:
    """The one graph or state file in `folder`. Raises ConvertError if there is none, or several."""
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".onnx", ".pth")]
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths) or "none"
        raise ConvertError(
            f"{folder}: expected one .json, .onnx or .pth file, found {names}; run the stage `fetch` again"
        )
    return paths[0]


def main() -> None:
    """Convert the network and print its size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder with the downloaded files")
    parser.add_argument("--out", type=Path, required=True, help="file to write: .onnx or .npz")
    parser.add_argument("--heads", nargs="*", default=[], help="nodes of a TensorFlow.js graph that become its outputs")
    arguments = parser.parse_args()
    convert(find_source(arguments.source), arguments.out, arguments.heads)
    progress.summary(f"convert {arguments.out.name}", bytes=arguments.out.stat().st_size)


if __name__ == "__main__":
    command.run(main)
