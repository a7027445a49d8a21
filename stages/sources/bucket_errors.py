"""What went wrong on the way to a server, in one line without secrets; and URLs that hold secrets refused."""

import os
import re
from urllib.parse import urlsplit

from stages.sources.store import SourceError

# By the name of an exception's class, as botocore, aiohttp, fsspec and others have theirs, the first that matches.
_CAUSES = {
    "NoCredentialsError": "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or for a public bucket "
    "FSSPEC_S3_ANON=true",
    "PartialCredentialsError": "incomplete credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "PermissionError": "access denied",
    "FileNotFoundError": "no such bucket or file",
    "EndpointConnectionError": "the server cannot be reached",
    "ClientConnectorError": "the server cannot be reached",
    "ConnectTimeoutError": "no answer in time",
    "ReadTimeoutError": "no answer in time",
    "TimeoutError": "no answer in time",
}
_SECRET_NAME = re.compile("KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL", re.IGNORECASE)
_MIN_SECRET_LENGTH = 8
# In these schemes the part before an @ is a secret or a mistake; elsewhere it names a user or a container.
_BUCKETS = ("s3", "s3a", "gs", "gcs")
_WITHOUT_USER = ("http", "https", *_BUCKETS)
_MAX_LENGTH = 200


def cause_of(error: BaseException) -> str:
    """The cause of an error of fsspec or of what lies below it, in one line; nothing of it is a secret."""
    if isinstance(error, FileNotFoundError) and not is_missing(error):
        return cause_of(error.__cause__ or OSError())
    names = [cls.__name__ for cls in type(error).__mro__]
    words = next((text for name, text in _CAUSES.items() if name in names), type(error).__name__)
    message = redacted(" ".join(str(error).split()))
    return f"{words} ({message})" if message else words


def is_missing(error: BaseException) -> bool:
    """Whether a server says that there is no such file; fsspec reports a web server that is not there so, too."""
    cause = error.__cause__
    is_from_server = cause is None or hasattr(cause, "response") or getattr(cause, "status", None) == 404
    return isinstance(error, FileNotFoundError) and is_from_server


def redacted(text: str) -> str:
    """A text without the queries and user names of its URLs, and without what secret variables hold."""
    text = re.sub(r"(\w://)[^/\s@]*@", r"\1", re.sub(r"(\w://[^\s?\"']*)\?[^\s\"']*", r"\1", text))
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value.strip()) >= _MIN_SECRET_LENGTH:
            text = text.replace(value, "***").replace(" ".join(value.split()), "***")
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]} ..."


def require_no_secrets(url: str) -> None:
    """Raise SourceError on a URL with a password or a query, which would stand in files under version control.

    The message does not repeat the URL.
    """
    scheme = url.partition(":")[0].lower()
    what = "a query" if "?" in url else "user and password" if _has_password(url, scheme) else ""
    if what:
        raise SourceError(
            f"{scheme}://...: expected a URL without {what}: it would be written to files and shared with them; set "
            "credentials in the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )


def _has_password(url: str, scheme: str) -> bool:
    try:
        user, _, host = urlsplit(url).netloc.rpartition("@")
    except ValueError:
        return True
    if ":" in user or (user and scheme in _WITHOUT_USER):
        return True
    # A password with a slash ends the address early: what follows the colon is then no port, which buckets never have.
    rest = host.rpartition("]")[2]
    return ":" in rest and not host.startswith("arn:") and (scheme in _BUCKETS or not re.search(r":\d*$", rest))
