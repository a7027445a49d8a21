import pytest
import yaml

from stages.commands import grid
from stages.core.settings import SettingsError

GRID = {
    "question": "Which colour?",
    "target": "evaluate@a",
    "predictions": "data/predictions/a.csv",
    "baseline": "grey",
    "seeds": [0, 7],
    "common": ["models.a.input_px=64", "train.epochs=2"],
    "arms": {"grey": [], "white": ["resize.fill=[255,255,255]"], "long": ["train.epochs=9"]},
}


def read(tmp_path, **changes):
    path = tmp_path / "colour.yaml"
    path.write_text(yaml.safe_dump({**GRID, **changes}, sort_keys=False))
    return grid.read(path)


def test_every_arm_runs_with_every_seed_and_first_seeds_come_first(tmp_path):
    runs = grid.runs("colour", read(tmp_path))
    assert [run.name for run in runs] == [
        "colour-grey-0", "colour-white-0", "colour-long-0", "colour-grey-7", "colour-white-7", "colour-long-7",
    ]  # fmt: skip
    assert runs[1].overrides == (
        "models.a.input_px=64", "train.epochs=2", "resize.fill=[255,255,255]", "train.seed=0",
    )  # fmt: skip
    assert runs[-1].arm == "long" and runs[-1].seed == 7


def test_an_arm_can_override_common_parameters(tmp_path):
    overrides = grid.runs("colour", read(tmp_path))[2].overrides
    assert overrides == ("models.a.input_px=64", "train.epochs=9", "train.seed=0")


def test_names_are_valid_names_of_experiments(tmp_path):
    changed = read(tmp_path, baseline="off_white", arms={"off_white": []})
    assert grid.runs("two_words", changed)[0].name == "two-words-off-white-0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "blue"}, "baseline: expected one of grey, white, long, found 'blue'"),
        ({"seeds": []}, "seeds: expected a list of one or more"),
        ({"seeds": [1, 1]}, "all different"),
        ({"seeds": [-1]}, r"seeds\[0\]"),
        ({"common": ["train.epochs"]}, r"common\[0\]"),
        ({"common": ["train.seed=1"]}, "that the grid's seeds set"),
        ({"common": ["a=1", "a=2"]}, "found a twice"),
        ({"arms": {"grey": ["a=1", "a=2"]}}, "arms.grey: expected every parameter once, found a twice"),
        ({"arms": {}}, "one or more"),
        ({"arms": {"grey": [], "Two words": []}}, "Two words"),
        ({"arm": {}}, "did you mean `arms`"),
    ],
)
def test_an_invalid_grid_is_an_error_that_names_the_file(tmp_path, changes, message):
    with pytest.raises(SettingsError, match=message) as caught:
        read(tmp_path, **changes)
    assert "colour.yaml" in str(caught.value)


def test_the_grids_of_the_project_can_be_read():
    paths = [path for path in sorted(grid.Path("experiments").glob("*.yaml")) if not path.stem.startswith("search")]
    assert len(paths) >= 3
    for path in paths:
        assert grid.runs(path.stem, grid.read(path)), path
