"""Outputs of trained models for the photos of an archive, one view of each."""

import numpy as np

from stages.classifiers.onnx_outputs import OutputsFn
from stages.core import progress
from stages.core.archive import Archive
from stages.core.batches import batched
from stages.images import archived
from stages.schemas import model_inputs
from stages.schemas.split_data import SplitData
from stages.scoring.novelty import NetworkOutputs

_BATCH = 16


def extract(network: OutputsFn, photos: SplitData, images: Archive, title: str) -> NetworkOutputs:
    """The outputs of N > 0 photos, in their order; `title` stands at the progress bar. Raises ImageError."""
    names = model_inputs.file_names(images, photos.image_ids)
    batches = progress.track(batched(names, _BATCH), -(-len(names) // _BATCH), "batch", title)
    rows = [network(np.stack([archived.read_image(images, name) for name in batch])).inner for batch in batches]
    features, logits = (np.concatenate(values) for values in zip(*rows, strict=True))
    return NetworkOutputs(features, logits)
