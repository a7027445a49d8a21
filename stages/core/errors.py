"""The base of every error that a user can cause, and that of tables."""


class UserError(Exception):
    """What a user can cause; its text is one line: which file or parameter, expected, found, what to do.

    Commands print that line and no traceback. Any other exception of the project's code is a bug.
    """


class TableError(UserError):
    """A table lacks a column, has a value of the wrong type, or breaks a rule of its format."""
