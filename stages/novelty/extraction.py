"""Outputs of trained models for the photos of an archive, one view of each."""

from stages.classifiers.image_source import ImageSource, image_size_hw
from stages.classifiers.onnx_outputs import OutputsFn
from stages.core import progress
from stages.core.archive import Archive
from stages.core.batches import ordered_thread_map
from stages.schemas.split_data import SplitData
from stages.scoring.network_outputs import NetworkOutputs

# Images that are decoded ahead of the network.
_AHEAD = 32


def extract(network: OutputsFn, photos: SplitData, images: Archive, title: str) -> NetworkOutputs:
    """The outputs of N > 0 photos, in their order; `title` stands at the progress bar. Raises PhotoError."""
    source = ImageSource.of(images, photos, image_size_hw(images, photos))
    loaded = ordered_thread_map(source.load, source.names, _AHEAD)
    tracked = progress.track(loaded, len(source.names), "photo", title)
    return network(image for _, image in tracked).inner
