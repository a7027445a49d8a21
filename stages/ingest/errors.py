"""Errors of the stage, one line each."""

from stages.core.errors import UserError


class IngestError(UserError):
    """The source as a whole cannot be used."""


class SplitError(UserError):
    """The photos cannot be split as the parameters ask."""
