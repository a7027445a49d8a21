"""The base of every error that a user can cause."""


class UserError(Exception):
    """What a user can cause; its text is one line: which file or parameter, expected, found, what to do.

    Commands print that line and no traceback. Any other exception of the project's code is a bug.
    """
