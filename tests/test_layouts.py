"""Every layout of a source through `dvc repro` to the report, on a few rendered photos.

All sources hold the same photos under the same paths, so that a layout that is read rightly gives the same manifest:
then DVC runs nothing after `ingest`. Annotated boxes give another one, the same for COCO and Pascal VOC.
"""

import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import pytest
import yaml
from moto.server import ThreadedMotoServer
from PIL import Image

from tests import small_project

LABELS = ("compact", "pickup", "van")
SPLIT_OF = {1: "train", 2: "train", 3: "train", 4: "val", 5: "test", 6: "test"}
KEY = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose photos lie in `base`, in train, val and test, after `dvc repro`."""
    if name := small_project.missing_network():
        pytest.skip(f"needs models/pretrained/{name}: run `dvc repro models/pretrained/dvc.yaml`")
    folder = tmp_path_factory.mktemp("layouts")
    small_project.make(folder)
    for label in LABELS:
        for number, split in SPLIT_OF.items():
            path = folder / "base" / split / label / f"{label}_{number:03d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "photos" / label / f"{label}_{number:03d}.jpg", path)
    small_project.commit(folder, "photos")
    repro(folder, source="base")
    return folder


def repro(folder, environment=None, **ingest):
    """Run `dvc repro` with these keys of section `ingest`, others as in small_project; return what DVC printed."""
    params = folder / "params.yaml"
    content = yaml.safe_load(params.read_text())
    own = ("layout", "root", "columns", "class_map", "unlabelled", "folds", "fold", "leaks")
    content["ingest"] = {k: v for k, v in content["ingest"].items() if k not in own} | ingest
    params.write_text(yaml.safe_dump(content))
    shown = subprocess.run(
        ["dvc", "repro"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=small_project.environment() | (environment or {}),
    )
    assert shown.returncode == 0, shown.stdout[-3000:] + shown.stderr[-3000:]
    assert (folder / "metrics" / "report" / "index.html").is_file()
    return [line.split("'")[1] for line in shown.stdout.splitlines() if line.startswith("Running stage")]


def manifest(folder):
    return pd.read_csv(folder / "data" / "manifest.csv", keep_default_na=False)


def paths(folder):
    return sorted(path.relative_to(folder / "base").as_posix() for path in (folder / "base").rglob("*.jpg"))


def parts(path):
    """Split and label of a path of `base`."""
    return path.split("/")[:2]


def test_given_splits_are_kept_to_the_report(project):
    rows = manifest(project)
    assert len(rows) == 18 and (rows["status"] == "ok").all()
    assert rows["split"].tolist() == [parts(path)[0] for path in rows["path"]]
    assert rows["label"].tolist() == [parts(path)[1] for path in rows["path"]]
    assert json.loads((project / "metrics" / "ensemble.json").read_text())["n"] == 6


def write_table(project, suffix):
    rows = [(path, parts(path)[1], parts(path)[0], "x") for path in paths(project)]
    frame = pd.DataFrame(rows, columns=["file", "model", "set", "colour"])
    path = project / f"list{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_csv(
        path, index=False, sep="\t" * (suffix == ".tsv") or ","
    )
    return {"source": path.name, "root": "base", "columns": {"path": "file", "label": "model", "split": "set"}}


def write_archive(project, name):
    with (
        zipfile.ZipFile(project / name, "w") if name.endswith(".zip") else tarfile.open(project / name, "w:gz") as file
    ):
        add = file.write if name.endswith(".zip") else file.add
        for path in paths(project):
            add(project / "base" / path, path)
    return {"source": name}


def write_imagefolder(project):
    shutil.copytree(project / "base", project / "hf")
    for split in ("train", "val", "test"):
        inside = [path for path in paths(project) if parts(path)[0] == split]
        lines = [json.dumps({"file_name": path.partition("/")[2], "label": parts(path)[1]}) for path in inside]
        (project / "hf" / split / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return {"source": "hf"}


def write_class_map(project):
    """A table whose labels are spelled in three ways, and a map that makes one class of them with a line each."""
    spelled = {label: (label, label.upper(), f" {label[:2]} {label[2:]}") for label in LABELS}
    rows = [(path, spelled[parts(path)[1]][n % 3], parts(path)[0]) for n, path in enumerate(paths(project))]
    pd.DataFrame(rows, columns=["path", "label", "split"]).to_csv(project / "spelled.csv", index=False)
    (project / "map.csv").write_text("label,class\n" + "".join(f"{label},{label}\n" for label in LABELS))
    return {"source": "spelled.csv", "root": "base", "class_map": "map.csv"}


SOURCES = {
    "class map": write_class_map,
    "CSV": lambda project: write_table(project, ".csv"),
    "TSV": lambda project: write_table(project, ".tsv"),
    "Parquet": lambda project: write_table(project, ".parquet"),
    "zip": lambda project: write_archive(project, "photos.zip"),
    "tar.gz": lambda project: write_archive(project, "photos.tar.gz"),
    "imagefolder": write_imagefolder,
    "pattern": lambda _: {"source": "base", "layout": "{split}/{label}/*"},
    "link": lambda project: (project / "linked").symlink_to("base") or {"source": "linked"},
}


@pytest.mark.parametrize("layout", SOURCES)
def test_the_same_photos_in_another_layout_give_the_same_manifest(project, layout):
    before = (project / "data" / "manifest.csv").read_bytes()
    ran = repro(project, **SOURCES[layout](project))
    assert (project / "data" / "manifest.csv").read_bytes() == before
    # The report names the source, in the model card.
    assert set(ran) <= {"check", "scan", "ingest", "submission", "report"}


def test_a_bucket_gives_the_same_manifest_as_the_folder(project):
    before = (project / "data" / "manifest.csv").read_bytes()
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="cars")
        for path in paths(project):
            client.put_object(Bucket="cars", Key=f"photos/{path}", Body=(project / "base" / path).read_bytes())
        ran = repro(project, environment=KEY | {"AWS_ENDPOINT_URL": endpoint}, source="s3://cars/photos")
    finally:
        server.stop()
    assert (project / "data" / "manifest.csv").read_bytes() == before
    # The report names the source, in the model card.
    assert set(ran) <= {"check", "scan", "ingest", "submission", "report"}
    assert "secret" not in (project / "data" / "files.csv").read_text()


def boxes(project):
    """A box for each photo, in whole pixels, off the centre; two for the first van."""
    corners = {path: [(40, 60, 300, 220)] for path in paths(project)}
    return corners | {"train/van/van_001.jpg": [(10, 20, 150, 200), (160, 30, 310, 210)]}


def write_coco(project):
    shutil.copytree(project / "base", project / "coco", dirs_exist_ok=True)
    for split in ("train", "val", "test"):
        names = [path for path in paths(project) if parts(path)[0] == split]
        images = [{"id": n, "file_name": name, "width": 320, "height": 240} for n, name in enumerate(names)]
        annotations = [
            {"image_id": n, "category_id": LABELS.index(parts(name)[1]) + 1, "bbox": [a, b, c - a, d - b], "iscrowd": 0}
            for n, name in enumerate(names)
            for a, b, c, d in boxes(project)[name]
        ]
        categories = [{"id": n + 1, "name": label} for n, label in enumerate(LABELS)]
        numbered = [{"id": n, **annotation} for n, annotation in enumerate(annotations)]
        content = {"images": images, "annotations": numbered, "categories": categories}
        (project / "coco" / f"instances_{split}.json").write_text(json.dumps(content))
    return {"source": "coco"}


def write_voc(project):
    shutil.copytree(project / "base", project / "voc")
    for path in paths(project):
        label = parts(path)[1]
        objects = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{a + 1}</xmin><ymin>{b + 1}</ymin><xmax>{c}</xmax>"
            f"<ymax>{d}</ymax></bndbox></object>"
            for a, b, c, d in boxes(project)[path]
        )
        size = "<size><width>320</width><height>240</height><depth>3</depth></size>"
        text = f"<annotation><filename>{Path(path).name}</filename>{size}{objects}</annotation>"
        (project / "voc" / path).with_suffix(".xml").write_text(text)
    return {"source": "voc"}


def test_annotated_boxes_are_used_in_place_of_detection(project):
    ran = repro(project, **write_coco(project))
    assert "crop" in ran and "report" in ran
    rows = manifest(project)
    assert len(rows) == 19 and (rows["status"] == "ok").all() and rows["image_id"].is_unique
    van = rows[rows["path"] == "train/van/van_001.jpg"].sort_values("x_min")
    assert van[["x_min", "y_min", "x_max", "y_max"]].values.tolist() == [[10, 20, 150, 200], [160, 30, 310, 210]]
    assert van["image_id"].iloc[1] == van["image_id"].iloc[0] + "-2" and van["group"].nunique() == 1
    assert len(pd.read_csv(project / "data" / "detections.csv")) == 0
    chosen = pd.read_csv(project / "data" / "boxes.csv", keep_default_na=False)
    assert (chosen["class_name"] == "annotated").all() and chosen["is_cropped"].all()
    with zipfile.ZipFile(project / "data" / "crops" / "00000.zip") as file:
        crop = np.asarray(Image.open(io.BytesIO(file.read(f"{van['image_id'].iloc[1]}.jpg"))))
    # 150 x 180 pixels and 27 on every side, 15 % of the longer one, but the photo ends at x = 320.
    assert crop.shape == (180 + 2 * 27, 150 + 27 + 10, 3)


def test_pascal_voc_gives_the_manifest_of_coco(project):
    before = (project / "data" / "manifest.csv").read_bytes()
    ran = repro(project, **write_voc(project), layout="voc")
    coco = pd.read_csv(io.BytesIO(before), keep_default_na=False)
    columns = ["image_id", "path", "label", "x_min", "y_min", "x_max", "y_max", "status"]
    pd.testing.assert_frame_equal(manifest(project)[columns], coco[columns])
    assert "ingest" in ran
