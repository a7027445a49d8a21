"""Fixtures of several tests: images without symmetry, and stages run as from the command line."""

import sys

import numpy as np
import pytest

from stages.schemas import corrections
from tests import ray_nodes

# Minutes each. With --dist loadfile a process runs a whole file: these come first, and short ones fill what remains.
LONGEST = ("test_pipeline", "test_layouts", "test_trainer", "test_docs", "test_students", "test_kills", "test_cluster")
LONGEST += ("test_clustered_prediction", "test_clustered_experiments", "test_classifier_head", "test_thumbnails")
CORNERS = {"top_left": (255, 0, 0), "top_right": (0, 255, 0), "bottom_left": (0, 0, 255), "bottom_right": (255, 255, 0)}


def pytest_collection_modifyitems(items):
    """Put the longest files first, in their order."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """A cache of compiled networks for these tests alone, also in the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("user_cache")))
        yield


@pytest.fixture
def corners():
    """A function that draws `(height, width, 3)` uint8 RGB with quarters of red, green, blue and yellow."""

    def draw(width, height):
        image = np.empty((height, width, 3), np.uint8)
        x, y = -(-width // 2), -(-height // 2)
        image[:y, :x], image[:y, x:] = CORNERS["top_left"], CORNERS["top_right"]
        image[y:, :x], image[y:, x:] = CORNERS["bottom_left"], CORNERS["bottom_right"]
        return image

    return draw


@pytest.fixture
def run(monkeypatch, tmp_path_factory):
    """A function that calls the `main` of a stage's module with options such as `class_counts=path`.

    Stages that read decisions of people get none, unless the options name a table.
    """
    none = tmp_path_factory.mktemp("decisions") / "corrections.csv"
    corrections.write(none, corrections.none())

    def call(module, **options):
        if module.__name__.startswith(("stages.ingest.", "stages.crop.", "stages.mask.", "stages.audit.")):
            options = {"corrections": none} | options
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        monkeypatch.setattr(sys, "argv", [module.__name__, *words])
        module.main()

    return call


@pytest.fixture(scope="module")
def running_nodes():
    """A Ray cluster of two nodes of one core each, for the tests of one module."""
    pytest.importorskip("ray")
    with ray_nodes.running() as nodes:
        yield nodes


@pytest.fixture
def nodes(running_nodes, monkeypatch):
    """That cluster with both nodes, named by RAY_ADDRESS."""
    running_nodes.fill()
    monkeypatch.setenv("RAY_ADDRESS", running_nodes.address)
    return running_nodes
