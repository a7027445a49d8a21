"""Errors that several modules of this package raise."""


class WeightsError(ValueError):
    """The pretrained tensors are not the weights of this network."""
