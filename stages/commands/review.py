"""Show doubtful photos on a page of this machine, for people to decide about.

Each decision is written to data/corrections.csv at once; `dvc repro` then applies them. Ctrl-C stops.
"""

import argparse
import secrets
import webbrowser
from pathlib import Path

from stages.commands import serve
from stages.commands.reviewing import application, review_data
from stages.commands.reviewing.application import ReviewService
from stages.commands.reviewing.decisions import DecisionStore
from stages.commands.reviewing.pictures import PictureStore
from stages.commands.reviewing.review_data import ReviewData
from stages.commands.reviewing.skipped_photos import SkippedPhotos
from stages.commands.serving.access import AccessRules
from stages.core import command, progress
from stages.core.settings import load as load_settings
from stages.core.settings import read as read_settings
from stages.schemas import corrections
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings

_HOST = "127.0.0.1"
_DATA, _LOGS = Path("data"), Path("logs")
# What a request may take after Ctrl-C.
_SECONDS = 1.0


def _name(text: str) -> str:
    if not text.isprintable() or len(text) > 100:
        raise argparse.ArgumentTypeError(f"expected a name of at most 100 printable characters, found {text!r}")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 65535, found {text!r}")
    return int(text)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--who", type=_name, default="", metavar="NAME", help="written beside each decision")
    parser.add_argument("--port", type=_port, default=8001, help="default: 8001; 0 takes a free one")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    return parser.parse_args()


def service_of(args: argparse.Namespace) -> ReviewService:
    """What the page shows, from the tables, archives and photos of the project in the working directory."""
    decisions = DecisionStore(_DATA / "corrections.csv", _LOGS / "review.lock", args.who)
    models = list(load_settings(args.params).get("models") or {})
    data = review_data.read(_DATA, models, decisions.read()["image_id"].unique().tolist())
    photos = Photos(read_settings(args.params, "ingest", SourceSettings, subset=True))
    pictures = PictureStore(photos, _DATA / "crops", _DATA / "masks")
    return ReviewService(data, decisions, SkippedPhotos(_LOGS / "review.json"), pictures, args.who)


def print_gaps(data: ReviewData) -> None:
    """Print what the queue lacks."""
    if data.missing:
        names = ", ".join(f"data/{name}" for name in data.missing)
        print(f"review: no reasons of {names}: there is no such file; run `dvc repro`")
    if data.queue.n_unknown:
        print(f"review: {data.queue.n_unknown} issues are of photos that the manifest does not use; run `dvc repro`")


def print_summary(service: ReviewService) -> None:
    """Print the closing line, and what to do next."""
    listed = set(service.data.queue.photos.index)
    frame = service.decisions.read()
    kinds = frame["kind"].value_counts()
    decided = set(frame["image_id"])
    skipped = (service.skipped.ids() & listed) - decided
    counts = {kind: int(kinds[kind]) for kind in corrections.TOPICS if kind in kinds.index}
    left = len(listed - decided - skipped)
    progress.summary("review", decisions=len(frame), **counts, photos_skipped=len(skipped), photos_left=left)
    if len(frame):
        print("review: next `dvc repro`, then `dvc metrics diff`; commit data/corrections.csv")


def main() -> None:
    """Read the results, serve the page until Ctrl-C."""
    args = arguments()
    with serve.listen(_HOST, args.port) as listening:
        service, token = service_of(args), secrets.token_urlsafe(24)
        print_gaps(service.data)
        address = f"http://{_HOST}:{listening.getsockname()[1]}/#{token}"
        print(f"review: {len(service.data.queue.photos)} photos at {address}; Ctrl-C stops", flush=True)
        if args.open:
            webbrowser.open(address)
        app = application.create(service, AccessRules.of(_HOST, [], token))
        serve.run(serve.server_of(app, _SECONDS), listening)
    print_summary(service)


if __name__ == "__main__":
    command.run(main)
