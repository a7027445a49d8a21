"""Annotations of photos in COCO's JSON format, as COCO itself, CVAT, Label Studio and Roboflow write it."""

import posixpath
import re
from collections.abc import Iterator
from itertools import product
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError

from stages.scan.cells import shown
from stages.scan.path_lookup import PathLookup, join, leaves_root
from stages.scan.rows import LayoutError, ReadBytes, box_of_xywh, declared_size, finish, load, rows, split_of

_ROBOFLOW = "_annotations.coco.json"
_PHOTO_FOLDERS = ("images", "data")
Id = int | str


class CocoImage(BaseModel):
    """A photo: `file_name` is relative to a folder that the format does not define."""

    id: Id
    file_name: str
    width: Any = 0
    height: Any = 0


class CocoAnnotation(BaseModel):
    """An object of a photo; `bbox` should be [x, y, width, height] in pixels."""

    id: Any = None
    image_id: Id
    category_id: Id
    bbox: Any = None
    iscrowd: Any = 0


class CocoCategory(BaseModel):
    """A class."""

    id: Id
    name: Id
    keypoints: Any = None


class CocoFile(BaseModel):
    """What is used of an annotation file."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]


Item = TypeVar("Item", CocoImage, CocoCategory)
_KEYS = [f'"{key}"'.encode() for key in CocoFile.model_fields]


def annotation_files(paths: list[str], read_bytes: ReadBytes) -> list[str]:
    """Return the files with images, annotations and categories, sorted; those of keypoints and captions are none.

    They are JSON files at the top and in the folder annotations, and Roboflow's in folders of splits. Raises
    LayoutError if such a file is no valid JSON.
    """
    return [path for path in _candidates(paths) if _parse(path, load(read_bytes, path)) is not None]


def read_coco(paths: list[str], read_bytes: ReadBytes) -> pd.DataFrame:
    """Return a row for each annotation, for each image without one, and for each file that no image names.

    `file_name` is searched in the folder of the JSON file, in that around `annotations`, and there in `images`, `data`
    and folders of the split, such as `train2017`. Splits are those of the folder's or the JSON file's name. Reasons are
    `missing`, `crowd` (of many objects, not one), `bad_box`, `no_label`, `duplicate_box`, `conflicting_labels`,
    `not_listed`; a path out of the source has none. Raises LayoutError naming the file and the id.
    """
    contents = {path: _parse(path, load(read_bytes, path)) for path in _candidates(paths)}
    files = {path: content for path, content in contents.items() if content is not None}
    if not files:
        raise LayoutError("expected a JSON file with images, annotations and categories, found none")
    lookup = PathLookup(set(paths) - set(files))
    records: list[dict[str, object]] = []
    origins: dict[str, str] = {}
    for file, content in files.items():
        for path, image, objects in _photos(file, content, lookup):
            if path in origins:
                raise LayoutError(
                    f"{file}: image {shown(image.id)}: expected each photo once, found {shown(path)} in "
                    f"{origins[path]} too; remove one, or set ingest.source to one of the files"
                )
            origins[path] = f"image {shown(image.id)} of {file}"
            records += objects
    return finish(rows(records), sorted(set(paths) - set(files) - set(origins)))


def _candidates(paths: list[str]) -> list[str]:
    """Return the JSON files at the places where annotations lie."""
    return sorted(path for path in paths if path[-5:].lower() == ".json" and _is_place(*posixpath.split(path)))


def _is_place(folder: str, name: str) -> bool:
    is_split = "/" not in folder and split_of(folder) is not None
    return folder == "" or folder.lower() == "annotations" or (is_split and name == _ROBOFLOW)


def _parse(name: str, content: bytes) -> CocoFile | None:
    """Return the content of a file, or None if it is not one of labelled objects."""
    if not all(key in content for key in _KEYS):
        return None
    try:
        file = CocoFile.model_validate_json(content.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
        raise LayoutError(
            f"{name}: expected COCO annotations, found at {place or 'the top'}: {first['msg']}, "
            f"not {shown(first['input'])}"
        ) from None
    has_keypoints_only = file.categories and all(category.keypoints for category in file.categories)
    return None if has_keypoints_only else file


def _photos(name: str, file: CocoFile, lookup: PathLookup) -> Iterator[tuple[str, CocoImage, list[dict[str, object]]]]:
    """Yield path, image and records of each image of a file."""
    images, categories = _by_id(name, "images", file.images), _by_id(name, "categories", file.categories)
    objects: dict[Id, list[dict[str, object]]] = {key: [] for key in images}
    # Files without any, such as iNaturalist's, label whole photos.
    has_boxes = any(item.bbox not in (None, []) for item in file.annotations)
    for position, item in enumerate(file.annotations):
        if item.image_id not in images:
            raise _unknown(name, position, item, "image_id", "images")
        if item.category_id not in categories:
            raise _unknown(name, position, item, "category_id", "categories")
        box = box_of_xywh(item.bbox) if has_boxes else {}
        reason = "crowd" if item.iscrowd in (1, "1") else box.get("reason", "")
        objects[item.image_id].append({**box, "label": str(categories[item.category_id].name), "reason": reason})
    split, folders = _split_of_file(name), _photo_folders(name, lookup)
    for key, image in images.items():
        path, reason = _find(name, image, folders, lookup)
        photo = {
            "path": path,
            "split": split or _split_of_folders(path),
            "annotated_width": declared_size(image.width),
            "annotated_height": declared_size(image.height),
        }
        yield (
            path,
            image,
            [{**item, **photo, "reason": reason or item.get("reason", "")} for item in objects[key] or [{}]],
        )


def _by_id(name: str, kind: str, items: list[Item]) -> dict[Id, Item]:
    by_id = {item.id: item for item in items}
    if len(by_id) < len(items):
        earlier: set[Id] = set()
        repeated = next(item.id for item in items if item.id in earlier or earlier.add(item.id))  # type: ignore[func-returns-value]
        raise LayoutError(
            f"{name}: expected each id once in `{kind}`, found {shown(repeated)} twice; give one another id"
        )
    return by_id


def _unknown(name: str, position: int, item: CocoAnnotation, key: str, kind: str) -> LayoutError:
    own = "" if item.id is None else f" (id {shown(item.id)})"
    return LayoutError(
        f"{name}: annotations[{position}]{own}: expected as `{key}` the id of one of `{kind}`, found "
        f"{shown(getattr(item, key))}; correct or remove it"
    )


def _root(name: str) -> str:
    """Return the folder of a file; of a file in `annotations`, the folder around that."""
    folder = posixpath.dirname(name)
    return "" if folder.lower() == "annotations" else folder


def _photo_folders(name: str, lookup: PathLookup) -> list[str]:
    """Return the folders in which the photos of a file may lie, in the order of the search."""
    own, root, split = posixpath.dirname(name), _root(name), _split_of_file(name)
    inside = [folder for folder in lookup.folders if posixpath.dirname(folder) == root]
    parents = [root, *(folder for folder in inside if posixpath.basename(folder).lower() in _PHOTO_FOLDERS)]
    of_splits = [
        folder
        for parent, folder in product(parents, lookup.folders)
        if folder and posixpath.dirname(folder) == parent and _is_of_split(posixpath.basename(folder), split)
    ]
    return list(dict.fromkeys([own, *parents, *of_splits]))


def _find(name: str, image: CocoImage, folders: list[str], lookup: PathLookup) -> tuple[str, str]:
    """Return path and reason of a photo: `missing` if there is none, and no reason for a path out of the source."""
    found = lookup.find_below(folders, image.file_name)
    if len(found) > 1:
        raise LayoutError(
            f"{name}: image {shown(image.id)}: expected one file that is {shown(image.file_name)}, found "
            f"{' and '.join(map(ascii, found[:3]))}; write the folder into `file_name`, or remove one"
        )
    if found:
        return found[0], ""
    paths = [join(folder, image.file_name) for folder in (_root(name), posixpath.dirname(name))]
    inside = [path for path in paths if not leaves_root(path)]
    return (inside[0], "missing") if inside else (paths[0], "")


def _split_of_file(name: str) -> str:
    """Return the split in the name of the folder of a file or in its own, such as `instances_train2017.json`."""
    folder, file = posixpath.split(name)
    words = re.findall("[a-z]+", posixpath.splitext(file)[0].lower())
    splits = {split_of(folder), *map(split_of, words)} - {None}
    return str(splits.pop()) if len(splits) == 1 else ""


def _split_of_folders(path: str) -> str:
    folders = posixpath.dirname(path).split("/")
    return next((split for split in map(_split_of_numbered, folders) if split), "")


def _split_of_numbered(folder: str) -> str:
    """Return the split of a folder such as `val` or `val2017`."""
    return split_of(re.sub(r"[-_ ]?\d+$", "", folder)) or ""


def _is_of_split(folder: str, split: str) -> bool:
    """Return whether a folder is of a split; of any, where `split` is empty."""
    found = _split_of_numbered(folder)
    return bool(found) and split in ("", found)
