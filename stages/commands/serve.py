"""Serve the trained ensemble of a bundle over HTTP, with a page for photos.

It listens on loopback; elsewhere, or by another name, only with a token. Photos are neither kept nor logged.
"""

import argparse
import os
import signal
import socket
from functools import partial
from pathlib import Path

import numpy as np
import uvicorn

from stages.commands import ensemble_heat_maps, trained_ensemble
from stages.commands.serving import access, application, bundle_description
from stages.commands.serving.access import AccessRules
from stages.commands.serving.application import PredictService
from stages.commands.serving.limits import MIB, ServingLimits
from stages.commands.serving.monitoring import ServerMetrics
from stages.commands.trained_ensemble import Ensemble, EnsembleFiles
from stages.core import command
from stages.core.errors import UserError
from stages.images import images

TOKEN_VARIABLE = "CARS_TOKEN"
_MIN_TOKEN = 16


def read_token(file: Path | None, variable: str) -> str:
    """The token of the file, or else that of the environment variable; empty if there is neither.

    Raises UserError for one of fewer than 16 characters, or with others than visible ASCII ones.
    """
    # Bytes that are no text become characters that are refused below.
    content = file.read_text(encoding="utf-8", errors="replace").strip() if file else ""
    token, place = (content, str(file)) if file else (variable, TOKEN_VARIABLE)
    is_usable = token.isascii() and token.isprintable() and " " not in token and len(token) >= _MIN_TOKEN
    if (file or token) and not is_usable:
        raise UserError(
            f"{place}: expected {_MIN_TOKEN} or more visible ASCII characters as token, found {len(token)} characters; "
            "make one with `openssl rand -hex 32`"
        )
    return token


def access_rules(host: str, names: list[str], token: str) -> AccessRules:
    """The rules of access. Raises UserError where others than this machine could reach the server without a token."""
    if not token and not (access.is_loopback(host) and all(map(access.is_loopback, names))):
        raise UserError(
            f"--host {host}: expected a token where others than this machine can reach the server, found none; "
            f"give --token-file FILE or set {TOKEN_VARIABLE}"
        )
    return AccessRules.of(host, names, token)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address. Raises UserError where that is not possible."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "a name that no address has"
        raise UserError(
            f"--host {host} --port {port}: expected a free address of this machine, found: {found}"
        ) from None


def load(files: EnsembleFiles) -> Ensemble:
    """Load the ensemble and classify a blank photo of the usual shape: networks are made ready at their first input."""
    ensemble = files.load()
    blank = images.encode(np.full((480, 640, 3), 127, np.uint8), ".jpg")
    list(ensemble.predict([blank], lambda content: content))
    return ensemble


def server_of(app: access.AccessGuard, seconds: float) -> uvicorn.Server:
    """The server of an application; when it is stopped it finishes what has begun, within `seconds`."""
    config = uvicorn.Config(
        app,
        http="h11",
        loop="asyncio",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=round(seconds) + 1,
    )
    return uvicorn.Server(config)


def run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Answer requests until SIGTERM or Ctrl-C; then finish those that have begun, and accept none."""
    # uvicorn raises the signal again when it is done: nothing is left to stop then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listening])


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the folder that `python -m stages bundle` wrote")
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1; another address needs a token")
    parser.add_argument(
        "--port", type=partial(_number, 0, 65535), default=8000, help="default: 8000; 0 takes a free one"
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=f"holds the token; default: ${TOKEN_VARIABLE}")
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which the server is called, such as that of a proxy before it; may be repeated",
    )
    limits = ServingLimits()
    for name, default, text in (
        ("max-files", limits.max_files, "photos in a request"),
        ("max-file-mib", limits.max_file_bytes // MIB, "MiB of a photo"),
        ("max-request-mib", limits.max_request_bytes // MIB, "MiB of a request"),
        ("max-upload-mib", limits.max_upload_bytes // MIB, "MiB of all requests at a time"),
        ("max-megapixels", limits.max_pixels // 10**6, "million pixels of a photo"),
        ("max-queue", limits.max_queue, "photos that wait"),
        ("max-seconds", round(limits.seconds), "seconds from a request to its response"),
    ):
        number = partial(_number, 1, 10**6)
        parser.add_argument(f"--{name}", type=number, default=default, metavar="N", help=f"{text}; default: {default}")
    return parser.parse_args()


def _number(low: int, high: int, text: str) -> int:
    """A whole number of the command line, from `low` to `high`."""
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"expected a whole number from {low} to {high}, found {text!r}")
    return int(text)


def limits_of(args: argparse.Namespace) -> ServingLimits:
    """The limits of the command line. Raises UserError where a request could have more photos than may wait."""
    if args.max_files > args.max_queue:
        raise UserError(
            f"--max-files {args.max_files}: expected at most --max-queue, found {args.max_queue}; raise --max-queue"
        )
    return ServingLimits(
        max_files=args.max_files,
        max_file_bytes=args.max_file_mib * MIB,
        max_request_bytes=args.max_request_mib * MIB,
        max_upload_bytes=args.max_upload_mib * MIB,
        max_pixels=args.max_megapixels * 10**6,
        max_queue=args.max_queue,
        seconds=args.max_seconds,
    )


def main() -> None:
    """Load the bundle, listen, respond until the signal to stop."""
    args = arguments()
    limits = limits_of(args)
    rules = access_rules(args.host, args.allowed_host, read_token(args.token_file, os.environ.get(TOKEN_VARIABLE, "")))
    files = trained_ensemble.of_bundle(args.bundle)
    metrics = ServerMetrics()
    with listen(args.host, args.port) as listening:
        service = PredictService(load(files), partial(ensemble_heat_maps.load, files), limits, metrics)
        host, port = f"[{args.host}]" if ":" in args.host else args.host, listening.getsockname()[1]
        print(f"serve: {args.bundle} at http://{host}:{port}; Ctrl-C stops", flush=True)
        app = application.create(service, bundle_description.describe(files, limits), rules)
        run(server_of(app, limits.seconds), listening)
    print("serve: {} photos classified, {} not usable".format(*metrics.n_photos()))


if __name__ == "__main__":
    command.run(main)
