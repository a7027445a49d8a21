import http.server
import re
import socket

import pytest

from stages.images.images import ImageError
from stages.sources import buckets
from stages.sources.bucket_errors import cause_of, redacted, require_no_secrets
from stages.sources.store import SourceError, open_store


class NoCredentialsError(Exception):
    """As botocore's."""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NoCredentialsError("Unable\nto locate"), "no credentials; set AWS_ACCESS_KEY_ID .*Unable to locate"),
        (PermissionError("Forbidden"), r"^access denied \(Forbidden\)$"),
        (FileNotFoundError(), "^no such bucket or file$"),
        (TimeoutError(), "^no answer in time$"),
        (ZeroDivisionError("odd"), r"^ZeroDivisionError \(odd\)$"),
        (ValueError("x" * 500), r"^ValueError \(x{200} \.\.\.\)$"),
    ],
)
def test_the_cause_is_one_line(error, text):
    assert re.search(text, cause_of(error))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('to "http://me:secret@host:9000/cars?sig=abc&x=1": no', 'to "http://host:9000/cars": no'),
        ("https://host/a%20b?x=1 and s3://b/k?y=2", "https://host/a%20b and s3://b/k"),
        ("mail me@host", "mail me@host"),
        ("key hunter22-secret.", "key ***."),
        ("header b'first second'", "header b'***'"),
    ],
)
def test_secrets_are_not_shown(monkeypatch, text, shown):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter22-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "first\nsecond")
    monkeypatch.setenv("SHORT_KEY", "a")
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:hunter2@cars/photos", "s3://AKIA@cars/photos", "s3://AKIA:hun/ter2@cars/photos", "s3://AKIA:12/3@cars",
        "https://hunter2@host/x", "http://me:hunter2@host:80/x", "ftp://me:hunter2@host/x", "https://me:hun/ter2@host/x",
        "https://host/x.zip?X-Amz-Signature=hunter2", "s3://cars/x?versionId=hunter2", "http://[hunter2/x",
    ],
)  # fmt: skip
def test_urls_with_secrets_are_refused_and_not_repeated(url):
    with pytest.raises(SourceError, match="expected a URL without") as caught:
        require_no_secrets(url)
    assert "hunter" not in str(caught.value) and "AKIA" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://cars/a@b:c/é %20+", "http://host:8000/x", "http://[::1]:8000/x", "abfs://box@account.dfs.core.windows.net/x",
        "sftp://me@host/x", "memory://a", "s3://arn:aws:s3:us-east-1:123456789012:accesspoint:a/x", "http://[::1]/x",
    ],
)  # fmt: skip
def test_urls_without_secrets_are_taken(url):
    require_no_secrets(url)


def answer(status, content=b"", length=None):
    """A handler that gives every request the same answer, perhaps a shorter one than it declares."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(length or len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *arguments):
            pass

    return Handler


DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (answer(403, DENIED), "access denied"),
        (answer(500), "Internal Server Error"),
        (answer(200, b"half", length=1000), ""),
        (None, "the server cannot be reached"),
    ],
)
def test_a_failure_while_reading_is_a_reason_and_one_of_listing_an_error(serve, monkeypatch, handler, text):
    monkeypatch.setenv("AWS_ENDPOINT_URL", serve(handler) if handler else "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = open_store("s3://cars/photos/")
    with pytest.raises(ImageError, match=f"unreadable: s3://cars/photos/a/1.jpg: .*{text}") as caught:
        store.load("a/1.jpg")
    assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match=f"cannot list s3://cars/photos: .*{text}"):
        store.list_files()


@pytest.mark.usefixtures("s3")
def test_a_silent_server_is_given_up(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setitem(buckets._OPTIONS, "s3", {"config_kwargs": {"read_timeout": 0.3}})
        with pytest.raises(ImageError, match=r"unreadable: .*no answer in time"):
            open_store("s3://cars/photos/").load("1.jpg")


@pytest.mark.usefixtures("s3")
def test_without_credentials_the_message_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(SourceError, match="no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_store("s3://cars/photos")
