from pathlib import Path

import pytest
import yaml

from stages import check
from stages.core.runtime_settings import RuntimeSettings
from stages.core.settings import SettingsError

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"


@pytest.fixture
def changed(tmp_path):
    """A function that writes the project's params.yaml with a change, and returns the path."""

    def write(change):
        content = yaml.safe_load(PARAMS.read_text("utf-8"))
        change(content)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), "utf-8")
        return tmp_path / "params.yaml"

    return write


def test_the_parameters_of_the_project_are_valid_and_every_section_is_known():
    content = yaml.safe_load(PARAMS.read_text("utf-8"))
    assert check.check_sections(PARAMS) == len(content["models"]) > 0
    assert set(content) == {*check.SECTIONS, *check.NAMED}


def set_to(section, key, value):
    return lambda content: content[section].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda c: c.__setitem__("trian", c.pop("train")), ("`train`",)),
        (lambda c: c.__setitem__("extra", {}), ("unknown section `extra`", "resize")),
        (lambda c: c.pop("models"), ("models", "at least one")),
        (lambda c: c.__setitem__("models", {}), ("models", "at least one")),
        (lambda c: c.__setitem__("models", ["lite0"]), ("models", "at least one")),
        (lambda c: c["models"].__setitem__("x", {"backbon": "a"}), ("models.x.backbon", "`backbone`")),
        (set_to("ingest", "vall_share", 0.1), ("ingest.vall_share", "`val_share`")),
        (set_to("ingest", "val_share", 1.5), ("ingest.val_share", "0..1", "1.5")),
        (set_to("ingest", "val_share", 0.9), ("ingest.val_share", "below 1")),
        (set_to("ingest", "near_duplicate_bits", 17), ("ingest.near_duplicate_bits", "0..16")),
        (set_to("detect", "network", "yolo"), ("detect.network", "centernet_mobilenetv3", "'yolo'")),
        (set_to("crop", "classes", ["Car"]), ("crop.classes", "car", "'Car'")),
        (set_to("mask", "weights", {"u2net": 1}), ("mask.weights", "`u2net`")),
        (set_to("mask", "weights", {}), ("mask.weights", "one or more")),
        (set_to("segmenters", "more", {"network": "unet"}), ("segmenters.more.network", "u2netp", "'unet'")),
        (lambda c: c.pop("segmenters"), ("segmenters", "at least one")),
        (set_to("crop", "classes", []), ("crop.classes", "one or more")),
        (set_to("probe", "folds", 1), ("probe.folds", "2 or more")),
        (set_to("probe", "l2", [0.0]), ("probe.l2[0]",)),
        (set_to("audit", "min_wrong", 2), ("audit.min_wrong", "0..1")),
        (set_to("crop", "margin", "5%"), ("crop.margin", "a number", "'5%'")),
        (set_to("resize", "fill", [127, 127]), ("resize.fill", "3 values")),
        (set_to("resize", "fill", [127, 127, 256]), ("resize.fill[2]", "0..255")),
        (set_to("train", "learning_rate", "0.1"), ("train.learning_rate", "write 0.1 without quotes")),
        (
            set_to("segment", "inference", {"batch_size": 0, "engine": "auto", "precision": "auto"}),
            ("segment.inference.batch_size",),
        ),
    ],
)
def test_an_invalid_parameter_is_an_error_that_names_it(changed, change, parts):
    with pytest.raises(SettingsError) as caught:
        check.check_sections(changed(change))
    for part in parts:
        assert part in str(caught.value)


def add_model(name, **changes):
    return lambda c: c["models"].__setitem__(
        name, {"backbone": "xception", "weights": "none", "input": "removed", **changes}
    )


def add_student(name, **changes):
    return lambda c: c["students"].__setitem__(
        name, {"backbone": "xception", "weights": "none", "input": "removed", **changes}
    )


def add_segmenter(name, **changes):
    def change(content):
        content["segmenters"][name] = {"network": "u2netp", **changes}
        content["mask"]["weights"][name] = 1

    return change


def several(*changes):
    return lambda content: [change(content) for change in changes]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            add_model("x", backbone="xceptoin"),
            "models.x.backbone: unknown backbone `xceptoin`; did you mean `xcep",
        ),
        (add_model("x", backbone="zzz"), "models.x.backbone: unknown backbone `zzz`; known here: efficientnet_lite0"),
        (add_model("x", weights="nosuch.npz"), "models.x.weights: expected keras/xception.npz, `none`, or a file of"),
        (add_model("x", weights="../none"), "found '../none', which is none of these"),
        (add_model("x", weights="keras"), "found 'keras', which is none of these"),
        (
            add_model("x", weights="efficientnet_lite0.npz"),
            "models.x.weights: expected weights of xception, such as keras/xception.npz, found those of "
            "efficientnet_lite0: efficientnet_lite0.npz",
        ),
        (
            add_model("x", input="kep"),
            "models.x.input: expected an entry of `inputs`, found `kep`; did you mean `kept`?",
        ),
        (add_model("x", input_px=321), "models.x.input_px: expected at most 320, the longer side"),
        (
            add_model("x", backbone="inception_v3", input_px=119),
            "models.x.input_px: expected inputs of inception_v3 with a shorter side of 75 pixels or more, found 74",
        ),
        (
            set_to("train", "unfreeze", [{"epochs": 1}, {"epochs": 1, "input_px": 512}]),
            "train.unfreeze[1].input_px: expected at most 320",
        ),
        (
            several(set_to("train", "unfreeze", [{"epochs": 1}]), add_model("x", epochs=3)),
            "models.x.epochs: expected none beside phases in train.unfreeze, found 3",
        ),
        (
            add_student("LITE0"),
            "students.LITE0: expected another name than that of models.lite0; call it `LITE0_student`",
        ),
        (
            several(
                lambda c: c["inputs"].__setitem__("blurred", c["inputs"]["kept"]), add_student("x", input="blurred")
            ),
            "students.x.input: expected the input of a model (kept, removed, removed_small), found 'blurred'",
        ),
        (add_student("x", backbone="zzz"), "students.x.backbone: unknown backbone `zzz`; known here"),
        (add_student("x", weights="../none"), "students.x.weights: expected keras/xception.npz"),
        (add_student("x", input_px=321), "students.x.input_px: expected at most 320"),
        (add_student("my student"), "students: expected a name of at most 64"),
        (
            several(set_to("train", "unfreeze", [{"epochs": 1}]), add_student("x", epochs=3)),
            "students.x.epochs: expected none beside phases in train.unfreeze, found 3",
        ),
        (lambda c: c.__setitem__("students", ["x"]), "students: expected entries, or {}, found ['x']"),
        (lambda c: c.pop("students"), "students: expected entries, or {}, found None"),
        (add_model("students"), "models.students: expected another name: models/students holds the trained students"),
        (set_to("teach", "temperature", 0.5), "teach.temperature: expected a number in 1..20, found 0.5"),
        (add_segmenter("s", input_px=16), "segmenters.s.input_px: expected 32..2048, found 16"),
        (
            add_segmenter("s", network="gluoncv/deeplab_resnet101_voc", input_px=320),
            "segmenters.s.input_px: expected 480, which is fixed in the graph of gluoncv/deeplab_resnet101_voc",
        ),
        (set_to("tta", "min_views", 8), "tta.min_views: expected at most tta.max_views = 6, found 8"),
        (
            several(set_to("train", "augment", {"mixup": 0.75, "cutmix": 0.5})),
            "train.augment.mixup: expected a sum with train.augment.cutmix of at most 1",
        ),
        (
            set_to("ensemble", "manual_weights", {"lite0": 1, "lite3": 1}),
            "ensemble.manual_weights: expected a weight for each of lite0, lite0_kept, lite2, not all 0, found",
        ),
        (set_to("ensemble", "manual_weights", {"lite0": 0, "lite0_kept": 0, "lite2": 0}), "not all 0"),
        (set_to("crop", "min_score", 0.04), "crop.min_score: expected at least detect.min_score = 0.05, found 0.04"),
        (
            several(set_to("detect", "network", "gluoncv/center_net_dla34_voc"), set_to("crop", "classes", ["truck"])),
            "crop.classes: expected a class of the detector gluoncv/center_net_dla34_voc, found truck; it knows",
        ),
    ],
)
def test_what_one_key_requires_of_another_is_checked_before_any_stage(changed, change, message):
    path = changed(change)
    with pytest.raises(SettingsError) as caught:
        check.check_sections(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        add_model("x", weights="keras/xception.npz", input_px=256),
        add_model("x", backbone="inception_v3", input_px=120),
        add_model("x", weights="mine/x-1.npz"),
        several(set_to("tta", "mode", "fixed"), set_to("tta", "min_views", 8)),
        several(set_to("crop", "mode", "full_image"), set_to("crop", "min_score", 0.0)),
        add_segmenter("s", network="gluoncv/deeplab_resnet101_voc", input_px=480),
        set_to("ensemble", "manual_weights", {"lite0": 0, "lite0_kept": 2, "lite2": 1}),
        add_model("a_distances"),
        add_model("7"),
    ],
)
def test_what_is_possible_is_accepted(changed, change):
    path = changed(change)
    (path.parent / "models/pretrained/mine").mkdir(parents=True)
    (path.parent / "models/pretrained/mine/x-1.npz").touch()
    assert check.check_sections(path) >= 3


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("big model", "big_model"),
        ("a.b", "a_b"),
        ("a@b", "a_b"),
        ("-x", "x"),
        ("$(rm)", "rm"),
        ("a/b", "a_b"),
        ("..", "model"),
        ("größe", "gr_e"),
        ("a\n", "a"),
        ("n" * 65, "n" * 64),
    ],
)
def test_a_name_that_is_not_safe_everywhere_is_refused_with_another(changed, name, proposal):
    for section, change in (("models", add_model(name)), ("segmenters", add_segmenter(name))):
        with pytest.raises(SettingsError) as caught:
            check.check_sections(changed(change))
        text = str(caught.value)
        expected = proposal if proposal != "model" else section[:-1]
        assert f": {section}: expected a name of at most 64 of a-z, A-Z, 0-9, `_` and `-`" in text
        assert text.endswith(f"; call it `{expected}`") and len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("pretrained", "models/pretrained holds"),
        ("Pretrained", "models/pretrained holds"),
        ("ensemble", "under this name"),
        ("inference_cache", "logs/inference_cache"),
        ("inspection_cache", "logs/inspection_cache"),
        ("shards", "logs/shards"),
        ("experiments", "logs/experiments"),
        ("lite0_distances", "data/probes/lite0_distances.csv holds distances of `lite0`"),
        ("lite0_map", "data/probes/lite0_map.csv holds the map of `lite0`"),
    ],
)
def test_a_model_whose_files_would_be_those_of_something_else_is_refused(changed, name, problem):
    with pytest.raises(
        SettingsError, match=rf"models\.{name}: expected another name: .*{problem}.*; call it `{name}_1`"
    ):
        check.check_sections(changed(add_model(name)))


def test_names_that_differ_in_case_only_are_refused(changed):
    for change in (add_model("Lite0"), add_segmenter("U2NETP")):
        with pytest.raises(SettingsError, match="differ by more than upper and lower case"):
            check.check_sections(changed(change))


def test_the_output_is_the_same_for_all_parameters(tmp_path, changed, run):
    outputs = []
    for epochs in (1, 2):
        run(check, params=changed(set_to("train", "epochs", epochs)), out=tmp_path / "checked")
        outputs.append((tmp_path / "checked").read_bytes())
    assert outputs[0] == outputs[1] != b""


CPU = {"features": ["avx2", "avx512f", "avx512_bf16"]}
BITS = {"reproducibility": "bits"}


@pytest.mark.parametrize(
    ("runtime", "cpu", "n_cores", "expected"),
    [
        (BITS, CPU, 2, "would use AVX-512: faster"),
        (BITS, CPU, 16, "AVX-512, 16 cores in place of 2 for training: faster"),
        (BITS | {"threads": 8}, {"features": ["avx2"]}, 16, "would use 16 cores in place of 8"),
        (BITS, {"features": ["avx2"]}, 2, ""),
        ({}, CPU, 16, ""),
    ],
)
def test_hardware_that_bits_leaves_unused_is_named(runtime, cpu, n_cores, expected):
    hint = check.unused_hardware(RuntimeSettings(**runtime), cpu, n_cores)
    assert expected in hint and bool(hint) == bool(expected)


def test_a_student_of_its_own_name_is_valid_and_no_model(changed):
    before = check.check_sections(PARAMS)
    content = changed(add_student("pupil", epochs=3))
    assert check.check_sections(content) == before
