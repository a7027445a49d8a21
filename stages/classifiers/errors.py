"""Errors that several modules of this package raise."""

from stages.core.errors import UserError


class WeightsError(UserError):
    """The pretrained tensors are not the weights of this network."""
