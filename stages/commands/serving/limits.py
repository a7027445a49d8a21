"""What the server accepts at most."""

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class ServingLimits:
    """The limits of the server; beyond them a photo is refused with a reason, or a request with a status.

    `max_files` photos per request, `max_file_bytes` of each, `max_request_bytes` of a request, `max_upload_bytes` of
    all requests at once, `max_pixels` of each photo, `max_queue` photos that wait for the networks, `seconds` from the
    start of a request to its response, `wait_seconds` for further photos of a batch.
    """

    max_files: int = 16
    max_file_bytes: int = 20 * MIB
    max_request_bytes: int = 64 * MIB
    max_upload_bytes: int = 512 * MIB
    max_pixels: int = 100_000_000
    max_queue: int = 64
    seconds: float = 30.0
    wait_seconds: float = 0.005
