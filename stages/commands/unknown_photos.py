"""Photos of no class, such as those without a car, beside the labelled ones, for the networks of the project."""

from pathlib import Path

import numpy as np

from stages.classifiers import onnx_outputs
from stages.commands import predict, trained_ensemble
from stages.commands.inference_pipeline import Preprocessor
from stages.commands.left_out_classes import INPUTS, LabelledPhotos
from stages.core import progress
from stages.core.archive import Archive
from stages.core.errors import UserError
from stages.images.settings import input_names
from stages.novelty.detector import MemberOutputs
from stages.novelty.extraction import extract
from stages.schemas import split_data
from stages.schemas.split_data import SplitData
from stages.scoring.network_outputs import NetworkOutputs


def with_unknown(folder: Path, data: LabelledPhotos) -> tuple[MemberOutputs, LabelledPhotos]:
    """The outputs of the trained networks for all labelled photos and those of a folder, and these as a further class.

    Photos that cannot be read are left out. Raises UserError if none is left.
    """
    inputs = made_inputs(folder)
    n_unknown = len(next(iter(inputs.values())))
    files, names, outputs = trained_ensemble.of_project(), input_names(Path("params.yaml")), {}
    for model, path in files.models().items():
        network = onnx_outputs.load(files.folder / path)
        known = extract(network, data.photos, Archive(INPUTS / names[model]), model)
        parts = zip(known, network(inputs[names[model]]).inner, strict=True)
        outputs[model] = NetworkOutputs(*(np.concatenate(values) for values in parts))
    return outputs, extended(data, str(folder), n_unknown)


def made_inputs(folder: Path) -> dict[str, list[np.ndarray]]:
    """What models see of the photos of a folder, by the name of the input, each `(H, W, 3)` uint8 RGB."""
    files, paths = trained_ensemble.of_project(), [photo.path for photo in predict.list_photos([folder])]
    made = Preprocessor(files.preprocessing(), files.folder / files.networks).run(paths)
    shown = [inputs.images for _, inputs in progress.track(made, len(paths), "photo", "open_set")]
    readable = [images for images in shown if images is not None]
    if not readable:
        raise UserError(f"{folder}: expected photos, found none that can be read; name another folder")
    return {name: [images[name] for images in readable] for name in readable[0]}


def extended(data: LabelledPhotos, name: str, n_photos: int) -> LabelledPhotos:
    """`data` with a further class of so many photos that are of no split."""
    ids = [f"{name}/{number}" for number in range(n_photos)]
    photos = SplitData(ids, ids, np.full(n_photos, len(data.classes)), ids)
    split = np.concatenate([data.split, np.full(n_photos, "unknown")])
    return LabelledPhotos(split_data.join([data.photos, photos]), split, [*data.classes, name])
