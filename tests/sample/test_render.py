from pathlib import Path

import pandas as pd
import pytest

from stages.core.errors import UserError
from stages.core.settings import SettingsError
from stages.sample import render
from stages.sample.renderer.sample import tasks

PARAMS = """sample:
  seed: 5
  photos_per_class: 1
  width: 160
  height: 120
  jpeg_quality: 90
"""


def arguments(folder: Path, jobs: int = 1) -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(PARAMS)
    named = {"params": "params.yaml", "photos": "photos", "masks": "masks", "truth": "truth.csv"}
    return [part for key, name in named.items() for part in (f"--{key}", str(folder / name))] + [f"--jobs={jobs}"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    render.main(arguments(folder))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_is_written_and_has_its_row(rendered: Path) -> None:
    table = pd.read_csv(rendered / "truth.csv")
    paths = {str(path.relative_to(rendered / "photos")) for path in (rendered / "photos").rglob("*.*")}
    assert paths == set(table["path"]) == {str(task.path) for task in tasks(1)}
    assert table["path"].is_monotonic_increasing
    with_box = {str(Path(path).with_suffix(".png")) for path in table.loc[table["x_min"].notna(), "path"]}
    assert {str(path.relative_to(rendered / "masks")) for path in (rendered / "masks").rglob("*.*")} == with_box


def test_two_processes_write_the_same_bytes_as_one(rendered: Path, tmp_path: Path) -> None:
    render.main(arguments(tmp_path, jobs=2))
    assert contents(tmp_path) == contents(rendered)


def test_a_second_run_overwrites_its_own_files(rendered: Path, tmp_path: Path) -> None:
    (tmp_path / "photos/sedan").mkdir(parents=True)
    (tmp_path / "photos/sedan/sedan_001.jpg").write_bytes(b"old")
    render.main(arguments(tmp_path))
    assert contents(tmp_path) == contents(rendered)


def test_a_folder_with_other_photos_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/holiday.jpg").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"photos: expected only files of the sample, found .*holiday\.jpg"):
        render.main(arguments(tmp_path))
    assert contents(tmp_path / "photos") == {"holiday.jpg": b"mine"}


def test_an_invalid_parameter_is_named(tmp_path: Path) -> None:
    command = arguments(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS.replace("photos_per_class: 1", "photos_per_class: 0"))
    with pytest.raises(SettingsError, match=r"sample\.photos_per_class"):
        render.main(command)
