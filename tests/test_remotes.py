"""One machine pushes, another pulls and has nothing to do: with a folder and with an S3 server as the remote."""

import socket
import subprocess
import sys
import time

import pytest

from tests.small_project import add_remote, check_on_another_machine, run

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
PIPELINE = "stages: {copy: {cmd: cp -r photos out, deps: [photos], outs: [out]}}\n"


@pytest.fixture
def project(tmp_path):
    """A repository with photos tracked by DVC and one stage that has run."""
    folder = tmp_path / "first"
    (folder / "photos").mkdir(parents=True)
    for number in range(3):
        (folder / "photos" / f"ü {number}.jpg").write_bytes(bytes([number]) * 1000)
    (folder / "dvc.yaml").write_text(PIPELINE)
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "config", "core.analytics", "false"]):
        run(folder, *command)
    run(folder, "dvc", "add", "-q", "photos")
    run(folder, "dvc", "repro")
    return folder


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """The address of a bucket, and that of its server."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=log, stderr=log)
    endpoint = f"http://127.0.0.1:{port}"
    program = f"import boto3; boto3.client('s3', endpoint_url='{endpoint}').create_bucket(Bucket='cars')"
    deadline = time.monotonic() + 60
    while subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode:
        assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "server.log").read_text()
    yield "s3://cars/store", endpoint
    server.terminate()
    server.wait()


def test_a_folder_as_remote(project, tmp_path):
    add_remote(project, str(tmp_path / "store"))
    check_on_another_machine(project, tmp_path / "second")


def test_s3_as_remote(project, tmp_path, s3):
    add_remote(project, *s3)
    check_on_another_machine(project, tmp_path / "second")
    assert not (tmp_path / "store").exists()
