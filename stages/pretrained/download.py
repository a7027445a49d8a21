"""Get the ImageNet weights of a network of `keras.applications`, as the array file that a model's `weights` names."""

import argparse
from pathlib import Path

from stages.classifiers import applications
from stages.core import arrays, command, progress


def main() -> None:
    """Write the weights of one network named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", required=True, choices=list(applications.APPLICATIONS))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    tensors = applications.pretrained(applications.APPLICATIONS[arguments.backbone])
    arrays.write(arguments.out, tensors)
    progress.summary(f"download {arguments.backbone}", arrays=len(tensors))


if __name__ == "__main__":
    command.run(main)
