"""Say what inputs and backbones are worth on these photos, before training.

Linear probes on untrained networks, cross-validated on the photos of train, for inputs like the one that the first
model names. `make advise` runs the stages that it needs first. Val and test are not looked at.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from stages.classifiers import catalogue, folding, pretrained, runtime
from stages.classifiers.engine import keras
from stages.classifiers.settings import LoaderSettings, ModelSettings
from stages.commands import advice
from stages.core import command, progress, settings
from stages.core.archive import Archive
from stages.core.runtime_settings import RuntimeSettings
from stages.images.settings import InputSettings, input_names, read_used
from stages.probe.settings import ProbeSettings
from stages.resize.composer import Composer
from stages.resize.framing import Sources, UsedPhoto, each, used_photos
from stages.resize.settings import ResizeSettings
from stages.schemas import advice as advice_file
from stages.schemas import class_list, masks, split_data, split_table
from stages.schemas.advice import Advice
from stages.schemas.split_data import SplitData
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings

_SPLITS, _MASKS = Path("data/splits.csv"), Path("data/masks.csv")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    parser.add_argument("--photos", type=int, default=2000, help="photos of train to use at most; default: 2000")
    parser.add_argument(
        "--backbones", nargs="+", choices=list(catalogue.WEIGHTS), metavar="NAME", help="default: those of `models`"
    )
    parser.add_argument("--out", type=Path, default=Path("metrics/advice.json"), help="default: metrics/advice.json")
    args = parser.parse_args()
    if args.photos < 2:
        parser.error(f"--photos: expected 2 or more, found {args.photos}")
    return args


def first(train: SplitData, count: int) -> SplitData:
    """The first photos of train: ids are hashes, so these are as good as drawn by lot."""
    return SplitData(train.image_ids[:count], train.sources[:count], train.labels[:count], train.groups[:count])


def read_photos(train: SplitData) -> dict[str, UsedPhoto]:
    """The photos of train by id, with whether the mask of each is used."""
    photos = used_photos(split_table.read(_SPLITS), masks.read(_MASKS), uses_masks=True)
    return {photo.image_id: photo for photo in each(photos[photos["image_id"].isin(train.image_ids)])}


def without_masks(items: dict[str, InputSettings]) -> dict[str, InputSettings]:
    """Leave out the inputs that need masks, and say so: without masks their background would stay, without notice."""
    kept = {name: item for name, item in items.items() if not item.uses_masks}
    print(
        f"advise: no mask is used, so {len(items) - len(kept)} inputs that need masks are left out; to "
        "compare them, let a model name such an input, and run `make advise`",
        file=sys.stderr,
    )
    return kept


def load_networks(backbones: list[str], size_hw: tuple[int, int], n_classes: int) -> dict[str, keras.Model]:
    """The untrained networks by the name of their backbone: model inputs of this size to features."""
    networks = {}
    for name in backbones:
        model = ModelSettings(backbone=name, weights=catalogue.WEIGHTS[name], input="")
        tensors = pretrained.read(Path("models/pretrained"), model)
        network = pretrained.network(model, pretrained.shape(model, size_hw, n_classes), tensors)
        networks[name] = folding.for_inference(network.pooled)
    return networks


def probe_all(
    params: Path, items: dict[str, InputSettings], backbones: list[str], train: SplitData
) -> dict[str, list[dict[str, Any]]]:
    """The rows of each input, by its name; the first input is the base of all."""
    n_classes = len(class_list.read_classes(Path("data/classes.txt")))
    rule, resize = settings.read(params, "probe", ProbeSettings), settings.read(params, "resize", ResizeSettings)
    batch_size = settings.read(params, "train", LoaderSettings, subset=True).batch_size
    source = Photos(settings.read(params, "ingest", SourceSettings, subset=True))
    sources = Sources(Archive(Path("data/crops")), Archive(Path("data/masks")), source)
    photos, found = read_photos(train), {}
    base: dict[str, advice.Probed] = {}
    for name, item in progress.track(items.items(), len(items), "input", "advise"):
        chosen = [
            photos[image_id]._replace(is_masked=photos[image_id].is_masked and item.uses_masks)
            for image_id in train.image_ids
        ]
        images = advice.compose_all(sources, Composer(item, resize), chosen)
        networks = load_networks(backbones, item.frame_wh[::-1], n_classes)
        extracted = advice.extract(images, networks, batch_size)
        probed = {
            key: advice.probe(features, train.labels, train.groups, n_classes, rule)
            for key, features in extracted.items()
        }
        base = base or probed
        found[name] = [
            {"input": name, "backbone": key} | advice.row(one, base[key], train.labels, train.groups)
            for key, one in probed.items()
        ]
    return found


def table(found: Advice) -> pd.DataFrame:
    """The rows for people, the least log loss first."""
    ordered = sorted(found.rows, key=lambda row: row["log_loss"])
    return pd.DataFrame(
        {
            "input": [row["input"] for row in ordered],
            "network": [row["backbone"].removeprefix("efficientnet_") for row in ordered],
            "accuracy": [f"{100 * row['accuracy']:.1f} %" for row in ordered],
            "log loss": [f"{row['log_loss']:.3f}" for row in ordered],
            "minus base": [interval(row, "gain") for row in ordered],
            "both minus base": [interval(row, "both_gain") for row in ordered],
            "time": [f"{row['time']:.2f}" for row in ordered],
        }
    )


def interval(row: dict[str, Any], name: str) -> str:
    """A difference and the ends of its interval."""
    return " ".join(f"{row[key]:+.3f}" for key in (name, f"{name}_low", f"{name}_high"))


def main() -> None:
    """Probe every input by every backbone, print the table, write it for the report."""
    args = arguments()
    used, names = read_used(args.params), input_names(args.params)
    base = used[next(iter(names.values()))]
    models = settings.load(args.params)["models"]
    backbones = args.backbones or sorted({model["backbone"] for model in models.values()})
    runtime.configure(0, settings.read(args.params, "runtime", RuntimeSettings).n_threads)
    train = first(split_data.read(_SPLITS, class_list.read_classes(Path("data/classes.txt")))["train"], args.photos)
    items = advice.variants(base, used.values())
    if not any(photo.is_masked for photo in read_photos(train).values()):
        items = without_masks(items)
    rows = probe_all(args.params, items, backbones, train)
    found = Advice(
        advice_file.digest(_SPLITS),
        len(train.labels),
        next(iter(items)),
        [row for each in rows.values() for row in each],
    )
    advice_file.write(args.out, found)
    print(table(found).to_string(index=False))
    print(f"base: {found.base}; differences in log loss and their 95 % intervals: below zero is better")
    print("both: the mean of the predictions for the base and for this input; time: of the network, base = 1")
    progress.summary("advise", inputs=len(items), backbones=len(backbones), photos=found.n_photos)


if __name__ == "__main__":
    command.run(main)
