"""Download ImageNet weights of a network of keras.applications.

They become an array file for `models.<name>.weights`.
"""

import argparse
from pathlib import Path

from stages.classifiers import applications
from stages.classifiers.catalogue import APPLICATIONS
from stages.core import arrays, command, progress


def main() -> None:
    """Download and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", required=True, choices=list(APPLICATIONS), help="the network")
    parser.add_argument("--out", type=Path, required=True, help="file to write: .npz")
    arguments = parser.parse_args()
    tensors = applications.pretrained(APPLICATIONS[arguments.backbone])
    arrays.write(arguments.out, tensors)
    progress.summary(f"download {arguments.backbone}", arrays=len(tensors))


if __name__ == "__main__":
    command.run(main)
