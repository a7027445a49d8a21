import pytest

from stages.classifiers.settings import ModelSettings, derive_seed
from stages.core import settings
from stages.train.settings import TrainSettings, resolve


def test_seeds_follow_from_names_alone():
    # `printf 0/lite0 | sha256sum` begins with 0bc1b705.
    assert derive_seed(0, "lite0") == 0x0BC1B705 // 2
    assert len({derive_seed(seed, name) for seed in range(3) for name in ("a", "b", "c")}) == 9
    assert all(0 <= derive_seed(seed, "x") < 2**31 for seed in range(100))


def test_a_model_overrides_what_it_names_and_nothing_else():
    train = TrainSettings(epochs=7, learning_rate=1e-3)
    model = ModelSettings(backbone="efficientnet_lite0", weights="w.npz", input="i", learning_rate=2e-3)
    assert resolve(train, model, "a") == train.replace(learning_rate=2e-3, seed=derive_seed(0, "a"))
    no_epochs = resolve(train, ModelSettings(backbone="efficientnet_lite0", weights="w.npz", input="i", epochs=0), "a")
    assert no_epochs.epochs == 0


@pytest.mark.parametrize(
    ("n_photos", "batch_size", "min_steps", "fitted"),
    [
        (405, 16, 100, 4),  # 101 steps
        (799, 16, 100, 4),  # batches of 8 would be 99.9 steps
        (800, 16, 100, 8),
        (1600, 16, 100, 16),
        (90, 16, 100, 4),  # the least
        (90, 16, 0, 16),
        (90, 3, 100, 3),
        (90, 24, 100, 6),  # halves: a multiple of 3 cards stays one
        (90, 1, 1, 1),
    ],
)
def test_few_photos_have_small_batches(n_photos, batch_size, min_steps, fitted):
    given = TrainSettings(batch_size=batch_size, min_steps_per_epoch=min_steps, epochs=7)
    assert given.fitted_to(n_photos) == given.replace(batch_size=fitted)


def test_the_sections_are_read_with_their_nested_one(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(
        "train: {epochs: 3, augment: {flip: 0}}\nmodels: {a: {backbone: b, weights: w, input: i, input_px: 160}}\n"
    )
    train = settings.read(path, "train", TrainSettings)
    assert (train.epochs, train.augment.flip, train.augment.affine) == (3, 0.0, TrainSettings().augment.affine)
    assert settings.read(path, "models.a", ModelSettings) == ModelSettings(
        backbone="b", weights="w", input="i", input_px=160
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {batch_size: 0}", r"train\.batch_size"),
        ("train: {precision: fp16}", r"train\.precision"),
        ("train: {learning_rate: '1e-4'}", "write 0.0001 without quotes"),
        ("train: {augment: {flop: 1}}", r"train\.augment\.flop.*flip"),
        ("train: {seed: 2147483648}", r"train\.seed"),
    ],
)
def test_wrong_values_are_named(tmp_path, text, message):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(settings.SettingsError, match=message):
        settings.read(path, "train", TrainSettings)


@pytest.mark.parametrize(("text", "value"), [("1e-5", 1e-5), ("1E-5", 1e-5), ("5.0e-4", 5e-4), (".001", 1e-3)])
def test_powers_of_ten_are_numbers(tmp_path, text, value):
    path = tmp_path / "params.yaml"
    path.write_text(f"train: {{learning_rate: {text}}}\n")
    assert settings.read(path, "train", TrainSettings).learning_rate == value
