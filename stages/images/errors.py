"""The error of a file that is not a usable image, and those of Pillow on such files."""

import re
import struct

from stages.core.errors import UserError

# Pillow names the buffer that it reads; its address is another one in each run.
_BUFFER = re.compile(r" ?<_io\.BytesIO object at 0x[0-9a-fA-F]+>")
# What Pillow's plugins raise on damaged files; UnidentifiedImageError is an OSError.
BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, RuntimeError, struct.error)


class ImageError(UserError):
    """A file is not a usable image; `reason` is a short code for tables, the text has the details."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, _BUFFER.sub("", detail)
        super().__init__(f"{reason}: {self.detail}")

    def of(self, name: str) -> "ImageError":
        """The same error with the name of the file or image in its text."""
        return ImageError(self.reason, f"{name}: {self.detail}")
