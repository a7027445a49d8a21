"""Networks on a Ray cluster of a head without cores and nodes of one core each, on this machine."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from stages.core import archive, tables
from stages.core.runtime_settings import RuntimeSettings
from stages.detect import __main__ as detect_stage
from stages.images import images
from stages.networks import cluster, runtime
from stages.networks.cluster import ClusterError, Item, Job
from stages.networks.settings import InferenceSettings
from stages.schemas import crops, manifest, shards
from stages.segment import __main__ as segment_stage

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
INFERENCE = InferenceSettings(batch_size=4, engine="openvino", precision="f32")
SETTINGS = RuntimeSettings(engine="ray", cluster_timeout=300)
ROOT = Path(__file__).parents[2]


def load(folder):
    """A network that adds the sum of the file's bytes."""
    total = int(np.fromfile(folder / "in" / "network", np.uint8).sum())
    return lambda batch: [batch + total]


def run_numbers(log, seconds, network, items):
    """Outputs of items of one number each; `kill` ends the process, `unreadable` has no output."""
    made = []
    for item in items:
        with Path(log).open("a") as file:
            file.write(f"{item.key}\n")
        time.sleep(seconds)
        if item.content == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if item.content != "unreadable":
            made.append((item.key, str(int(network(np.array([item.content]))[0][0])).encode()))
    return made


@pytest.fixture
def job(tmp_path):
    """A function that makes a job; its functions travel by value: workers do not have this file."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "network").write_bytes(bytes([1, 2, 4]))
    (tmp_path / "log").touch()
    return lambda seconds=0.0: Job(
        "sum", tmp_path, ("in/network",), load, partial(run_numbers, str(tmp_path / "log"), seconds)
    )


def run_all(workers, job, items, chunk_size=4):
    return {result.key: (result.output, result.reason) for result in workers.run(job, items, chunk_size)}


def numbers(count):
    return [Item(f"k{number}", number) for number in range(count)]


def expected(count):
    return {f"k{number}": (str(number + 7).encode(), "") for number in range(count)}


@pytest.mark.usefixtures("nodes")
def test_each_item_has_one_result_and_one_that_cannot_be_read_has_no_output(job, tmp_path):
    items = [*numbers(10), Item("bad", "unreadable")]
    with cluster.connect(INFERENCE, SETTINGS) as workers:
        assert workers.kind == runtime.describe_runtime(INFERENCE)
        assert run_all(workers, job(), items) == {**expected(10), "bad": (None, "")}
        assert run_all(workers, job(), []) == {}
    assert sorted((tmp_path / "log").read_text().split()) == sorted(item.key for item in items)


@pytest.mark.usefixtures("nodes")
def test_an_item_that_kills_its_worker_has_a_reason_and_the_others_their_outputs(job):
    items = [*numbers(5), Item("killer", "kill"), *[Item(f"k{n}", n) for n in range(5, 9)]]
    with cluster.connect(INFERENCE, SETTINGS) as workers:
        assert run_all(workers, job(), items) == {**expected(9), "killer": (None, "worker_died")}


def test_after_the_loss_of_a_node_no_more_is_run_again_than_was_on_its_way(nodes, job, tmp_path):
    found = {}
    with cluster.connect(INFERENCE, SETTINGS) as workers:
        for result in workers.run(job(0.05), numbers(60), 4):
            found[result.key] = (result.output, result.reason)
            if len(found) == 20:
                nodes.remove()
    assert found == expected(60)
    # Two nodes with two chunks of four each.
    assert len((tmp_path / "log").read_text().split()) <= 60 + 16


def test_without_nodes_it_ends_in_time_and_with_a_new_node_it_goes_on(nodes, job):
    found = {}

    def lose_all():
        with cluster.connect(INFERENCE, SETTINGS) as workers:
            for result in workers.run(job(0.05), numbers(40), 4):
                found[result.key] = result.output
                if len(found) == 8:
                    # Only now: on a busy machine workers may take longer to start.
                    workers._settings = SETTINGS.replace(cluster_timeout=5)
                while len(found) == 8 and nodes.nodes:
                    nodes.remove()

    started = time.monotonic()
    with pytest.raises(ClusterError, match=r"expected a result of a worker within 5 s .*found none; Ray knows"):
        lose_all()
    assert time.monotonic() - started < 150  # on a busy machine the nodes themselves take half a minute to end
    nodes.fill()
    missing = [item for item in numbers(40) if item.key not in found]
    assert 0 < len(missing) < 40
    with cluster.connect(INFERENCE, SETTINGS) as workers:
        assert run_all(workers, job(), missing) == {item.key: expected(40)[item.key] for item in missing}


def test_a_cluster_that_never_comes_is_an_error_in_time(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(ClusterError, match=r"^127\.0\.0\.1:9: expected a Ray cluster within 2 s .*RAY_ADDRESS$"):
        cluster.connect(INFERENCE, SETTINGS.replace(cluster_timeout=2)).__enter__()
    assert time.monotonic() - started < 20
    monkeypatch.setenv("RAY_ADDRESS", "somewhere")
    with pytest.raises(ClusterError, match="expected host:port, ray://host:port or auto, found 'somewhere'"):
        cluster.connect(INFERENCE, SETTINGS).__enter__()


@pytest.mark.usefixtures("nodes")
def test_a_worker_of_another_kind_is_refused_with_both_named(job):
    with cluster.connect(INFERENCE, SETTINGS) as workers:
        workers.kind = {**workers.kind, "device": "Another CPU"}
        with pytest.raises(ClusterError, match=r"found device Another CPU and .+; .*use nodes of one kind") as caught:
            run_all(workers, job()._replace(name="another"), numbers(3))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("nodes")
def test_an_error_of_the_job_comes_through(job):
    broken = job()._replace(run=partial(run_numbers, "/nowhere/log", 0))
    with cluster.connect(INFERENCE, SETTINGS) as workers, pytest.raises(FileNotFoundError, match="/nowhere/log"):
        run_all(workers, broken, [Item("a", 1)])


def load_nowhere(folder):
    import package_of_nowhere

    return package_of_nowhere.load(folder)


@pytest.mark.usefixtures("nodes")
def test_a_worker_that_lacks_a_package_is_an_error_of_one_line(job):
    text = "packages of requirements.lock, found: No module named 'package_of_nowhere'"
    with cluster.connect(INFERENCE, SETTINGS) as workers, pytest.raises(ClusterError, match=text):
        run_all(workers, job()._replace(name="third", load=load_nowhere), numbers(2))


def test_with_the_local_engine_nothing_is_connected():
    with cluster.connect_if_ray(INFERENCE, RuntimeSettings()) as workers:
        assert workers is None


def noise(seed, side):
    """A JPEG of coarse noise, in which the detector finds this or that."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return images.encode(np.kron(small, np.ones((side // 8, side // 8, 1), np.uint8)), ".jpg")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project's settings with 10 photos, of which one is broken, and their tables, in the working directory."""
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["ingest"]["source"] = "photos"
    Path("photos").mkdir()
    rows = []
    for number in range(10):
        photo = noise(number, 160 + 16 * number) if number != 3 else b"no photo"
        Path(f"photos/{number}.jpg").write_bytes(photo)
        rows.append({"image_id": images.image_id(photo), "path": f"{number}.jpg", "label": "a", "status": "ok"})
    rows.sort(key=lambda row: row["image_id"])
    table = pd.DataFrame(rows, columns=list(manifest.COLUMNS))
    zero = {name: 0 for name, kind in manifest.COLUMNS.items() if kind == "int"}
    table = table.fillna(zero | {name: "" for name, kind in manifest.COLUMNS.items() if kind == "str"})
    tables.write(Path("manifest.csv"), table.assign(split="train"))
    crop_rows = table.reindex(columns=list(crops.COLUMNS)).assign(
        is_cropped=False, n_vehicles=0, runner_up_ratio=0.0, reason="", class_name=""
    )
    tables.write(Path("boxes.csv"), crop_rows)
    with archive.writing(Path("crops/00000.zip")) as add:
        for row in rows:
            add(crops.file_name(row["image_id"]), Path("photos", row["path"]).read_bytes())
    return content


def outputs(run, content, folder, **engine):
    """The bytes of what detect and segment write with an engine, and an inference cache of its own."""
    Path(folder).mkdir()
    Path("params.yaml").write_text(yaml.safe_dump(content | {"runtime": content["runtime"] | engine}))
    shared = {"params": "params.yaml", "networks": ROOT / "models/pretrained"}
    detected = {name: f"{folder}/{name}" for name in ("cache", "detections", "failures", "details")}
    run(detect_stage, manifest="manifest.csv", **shared, **detected)
    segmented = {
        "cache": f"{folder}/cache2",
        "maps": f"{folder}/maps",
        "memory": f"{folder}/memory",
        "details": f"{folder}/details2",
    }
    shards.write(Path("shards.json"), shards.ONE_SHARD)
    segmented |= {"boxes": "boxes.csv", "shards": "shards.json", "crops": "crops"}
    run(segment_stage, segmenter="u2netp", **shared, **segmented)
    return {name: Path(folder, name).read_bytes() for name in ("detections", "failures", "details", "maps/00000.zip")}


@pytest.mark.parametrize("shares_photos", [False, True])
@pytest.mark.usefixtures("nodes")
def test_the_stages_write_the_bytes_of_the_local_engine(project, run, capsys, shares_photos):
    local = outputs(run, project, "local")
    assert local["detections"].count(b"\n") > 9
    assert " on Ray" not in capsys.readouterr().out
    assert outputs(run, project, "cluster", engine="ray", shares_photos=shares_photos) == local
    assert len(re.findall(r"openvino (?:f32|bf16) on Ray engine", capsys.readouterr().out)) == 2
    # The cache's key is that of the local engine: the workers are of this machine's kind.
    assert [path.name for path in Path("cluster/cache").glob("*.sqlite")] == [
        path.name for path in Path("local/cache").glob("*.sqlite")
    ]


LOCAL = """
import contextlib
import psutil
from stages.core.runtime_settings import RuntimeSettings
from stages.networks import cluster
from stages.networks.settings import InferenceSettings

inference = InferenceSettings(batch_size=4, engine="openvino", precision="f32")
with cluster.connect(inference, RuntimeSettings(engine="ray", cluster_timeout=300)) as workers:
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    addresses = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended since
            connections = process.net_connections("tcp")
            addresses |= {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    print(workers.kind["engine"], *sorted(addresses))
"""


@pytest.mark.usefixtures("nodes")
def test_where_no_cluster_is_named_one_of_this_machine_starts_and_listens_on_it_alone(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS")
    done = subprocess.run([sys.executable, "-c", LOCAL], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    engine, *addresses = done.stdout.split()
    assert engine == "openvino" and addresses and set(addresses) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
