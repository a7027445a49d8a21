"""The server as people start and stop it: options, hostile files, the end."""

import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from stages.commands import predict, serve
from stages.core.errors import UserError
from tests import hostile
from tests.commands import tiny_bundle
from tests.commands.serving.running import Client, status_of

ROOT = Path(__file__).parents[2]
TOKEN = "0123456789abcdef"
WORDS = [sys.executable, "-m", "stages", "serve"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle.make(tmp_path_factory.mktemp("tiny"))


@contextlib.contextmanager
def started(bundle, *options):
    """A server in a process of its own; yields the process and its client."""
    words = [*WORDS, str(bundle), "--port", "0", *options]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, Client(int(re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())[1]))
    finally:
        process.kill()
        process.communicate()


def stop(process):
    """End a server as its supervisor does; return its status and what it printed."""
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


@pytest.fixture(scope="module")
def server(bundle):
    with started(bundle) as running:
        yield running
        assert running[0].poll() is None


def test_concurrent_requests_have_the_answers_of_predict(bundle, server, tmp_path, capsys, monkeypatch):
    contents = [hostile.saved(hostile.picture(number, 90 + 5 * number, 80), "jpg") for number in range(24)]
    contents[7], contents[18] = contents[7][: len(contents[7]) * 2 // 3], b""
    for number, content in enumerate(contents):
        (tmp_path / f"{number:02}.jpg").write_bytes(content)
    paths = [str(tmp_path / f"{number:02}.jpg") for number in range(24)]
    monkeypatch.setattr(sys, "argv", ["predict", *paths, "--model", str(bundle)])
    predict.main()
    rows = pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False).to_dict("records")
    # Three photos a request, eight requests at a time.
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda at: server[1].predict(*contents[at : at + 3]), range(0, 24, 3)))
    photos = [photo for answer in answers for photo in answer.json()["photos"]]
    for row, photo in zip(rows, photos, strict=True):
        if row["label"]:
            first, second = photo["predictions"][:2]
            assert (first["label"], second["label"]) == (row["label"], row["second_label"])
            assert first["probability"] == float(row["probability"])
            assert photo["note"] == row["note"] and photo["reason"] == ""
        else:
            assert photo["reason"] == row["note"].partition(":")[0] and photo["predictions"] == []
    assert [photo["reason"] for photo in photos if photo["reason"]] == ["truncated", "empty_file"]


def test_every_hostile_file_has_an_answer_and_photos_between_them_theirs(server):
    process, client = server
    good = hostile.saved(hostile.picture(1000), "jpg")
    (expected,) = client.predict(good).json()["photos"]
    parts = (hostile.truncated(), hostile.flipped(), hostile.noise(), hostile.enormous(), hostile.odd())
    files = [file for part in parts for file in part]
    assert len(files) > 200
    wrong = {}
    for start in range(0, len(files), 12):
        some = files[start : start + 12]
        found = client.predict(*(content for _, content, _ in some), good)
        assert found.status_code == 200
        *photos, last = found.json()["photos"]
        assert last | {"name": "0.jpg"} == expected
        wrong |= {name: p["note"] for (name, _, allowed), p in zip(some, photos) if p["reason"] not in allowed}
    assert wrong == {} and process.poll() is None
    assert 'result="internal_error"' not in client.get("/metrics").text


HEAD = (
    b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n"
    b"content-type: multipart/form-data; boundary=x\r\n\r\n"
)


def test_sigterm_finishes_what_has_begun_and_refuses_what_is_new(bundle):
    photo = hostile.saved(hostile.picture(5), "jpg")
    body = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a"\r\n\r\n' + photo + b"\r\n--x--\r\n"
    with started(bundle) as (process, client):
        begun = client.raw(HEAD % len(body), body[:1000])
        while "cars_upload_bytes 0.0" in client.get("/metrics").text:
            pass
        process.send_signal(signal.SIGTERM)
        with pytest.raises(OSError):
            while True:
                socket.create_connection(("127.0.0.1", client.port), timeout=60).close()
        begun.sendall(body[1000:])
        assert status_of(begun) == 200
        out, error = process.communicate(timeout=60)
    assert process.returncode == 0 and out == "serve: 1 photos classified, 0 not usable\n" and error == ""


def test_photos_leave_no_trace(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    photo = hostile.saved(hostile.picture(6, 2000, 1500), "png")
    with started(bundle) as (process, client):
        before = list(tmp_path.iterdir())  # what libraries write when they are imported
        assert client.predict(photo, photo[:5000]).status_code == 200
        assert list(tmp_path.iterdir()) == before
        code, out, error = stop(process)
    assert code == 0 and ".jpg" not in out + error


def test_elsewhere_a_token_is_needed(bundle, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != serve.TOKEN_VARIABLE}
    for options in (["--host", "0.0.0.0"], ["--allowed-host", "cars.example"]):
        done = subprocess.run(
            [*WORDS, str(bundle), *options], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
        assert "expected a token" in done.stderr and "--token-file" in done.stderr
    (tmp_path / "token").write_text(TOKEN + "\n")
    with started(bundle, "--token-file", str(tmp_path / "token")) as (_, client):
        assert client.get("/v1/model").status_code == 401
        assert client.get("/v1/model", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("text", ["", "\n", "short", "sixteen and more with spaces", "é" * 20, "a" * 20 + "\n" + "b"])
def test_a_weak_token_is_refused(tmp_path, text):
    (tmp_path / "token").write_text(text)
    with pytest.raises(UserError, match="token: expected 16 or more visible ASCII characters as token"):
        serve.read_token(tmp_path / "token", TOKEN)


def test_a_token_that_is_no_text_and_a_host_that_is_no_name_are_refused(tmp_path):
    (tmp_path / "token").write_bytes(bytes(range(200, 232)))
    with pytest.raises(UserError, match="expected 16 or more visible ASCII characters"):
        serve.read_token(tmp_path / "token", TOKEN)
    for host in ("a..b", "x" * 64):
        with pytest.raises(UserError, match="expected a free address of this machine"):
            serve.listen(host, 0)


def test_the_token_of_the_environment():
    assert serve.read_token(None, TOKEN) == TOKEN and serve.read_token(None, "") == ""
    with pytest.raises(UserError, match=serve.TOKEN_VARIABLE):
        serve.read_token(None, "short")


def run_main(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["serve", *map(str, words)])
    serve.main()


def test_errors_name_what_to_do(bundle, tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match="expected the manifest of a bundle"):
        run_main(monkeypatch, tmp_path)
    with pytest.raises(UserError, match="--max-files 65: expected at most --max-queue, found 64"):
        run_main(monkeypatch, bundle, "--max-files", 65)
    with serve.listen("127.0.0.1", 0) as taken, pytest.raises(UserError, match=r"--port \d+: expected a free address"):
        run_main(monkeypatch, bundle, "--port", taken.getsockname()[1])
    for option in (("--max-queue", 0), ("--max-seconds", "x"), ("--port", 70000)):
        with pytest.raises(SystemExit):
            run_main(monkeypatch, bundle, *option)
    assert "expected a whole number from 0 to 65535, found '70000'" in capsys.readouterr().err


def versions(name):
    """The versions of a lock file by package; a package may have one for each Python."""
    lines = re.findall(r"^([a-z\d-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    return {package: {version for other, version in lines if other == package} for package, _ in lines}


def test_the_environment_of_the_server_has_the_versions_of_the_project_and_no_tensorflow():
    text, locked = (ROOT / "requirements-serve.lock").read_text(encoding="utf-8"), versions("requirements.lock")
    own = versions("requirements-serve.lock")
    assert {package: locked.get(package) for package in own} == own and len(own) > 20
    assert not {"tensorflow", "keras", "dvc", "scikit-learn"} & set(own) and "openvino" in own
    assert "http" not in text.replace("httpcore", "") and text.count("--hash=sha256:") > len(own)
