"""Annotations of photos in Pascal VOC's XML format, as VOC itself, LabelImg and Roboflow write it."""

import posixpath
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple
from xml.etree import ElementTree

import pandas as pd

from stages.images.images import ImageError
from stages.scan.cells import shown
from stages.scan.path_lookup import PathLookup, join, leaves_root, photo_stem, plain
from stages.scan.rows import LayoutError, ReadBytes, box_of_corners, declared_size, finish, rows, split_folder
from stages.scan.voc_splits import ListedName, list_files, read_splits
from stages.sources.file_names import is_photo_name

_ANNOTATIONS, _ENDING = "annotations", ".xml"
_PHOTO_FOLDERS = ("JPEGImages", "images", "Images")
# What the parser raises on broken files, and on encodings that it does not know.
_BROKEN = (ElementTree.ParseError, ImageError, LookupError, ValueError)


class VocAnnotation(NamedTuple):
    """The content of an XML file: the photo's name, its declared size in pixels, and records of labels and boxes."""

    reason: str
    file_name: str = ""
    width: int = 0
    height: int = 0
    objects: tuple[dict[str, object], ...] = ()


def annotation_files(paths: list[str]) -> list[str]:
    """Return the XML files in folders `Annotations`, and in folders where one has a photo beside it, sorted."""
    files = sorted(path for path in paths if path.lower().endswith(_ENDING))
    if not files:
        return []
    photos = {name for path in paths if is_photo_name(path) for name in (path, photo_stem(path))}
    beside = {posixpath.dirname(path) for path in files if path[: -len(_ENDING)] in photos}
    return [path for path in files if posixpath.dirname(path) in beside or _is_in_annotations(posixpath.dirname(path))]


def read_voc(paths: list[str], read_bytes: ReadBytes) -> pd.DataFrame:
    """Return a row for each object of an XML file, for each one without objects, and for each file that none names.

    The photo of `Annotations/x.xml` lies in JPEGImages, in images or beside the XML file, under the name in `filename`
    or that of the XML file, with any ending of photos; `path` is ignored. Splits are those of ImageSets/Main, or of the
    first folder. `bndbox` counts pixels from 1 and includes its last ones. Truncated and difficult objects are objects.
    Reasons are `missing`, `bad_annotation`, `bad_box`, `no_label`, `duplicate_box`, `conflicting_labels`, `not_listed`.
    XML files are read in the order of `annotation_files`. Raises LayoutError where a photo or a split could be two.
    """
    files, names = annotation_files(paths), read_splits(paths, read_bytes)
    if not files:
        raise LayoutError("expected XML files in Annotations or beside photos, found none")
    others = set(paths) - set(files) - set(list_files(paths))
    lookup = PathLookup(others)
    records: list[dict[str, object]] = []
    origins: dict[str, str] = {}
    for file in files:
        annotation = _read(read_bytes, file)
        path, reason = _find(file, annotation.file_name, lookup)
        if path in origins:
            raise LayoutError(f"{file}: expected one file for {shown(path)}, found {origins[path]} too; remove one")
        origins[path] = file
        name = names.pop(_listed_key(file), None)
        records += _records(annotation, path, annotation.reason or reason, name.split if name else "")
    records += _without_files(names.values(), lookup)
    return finish(rows(records), sorted(others - set(origins)))


def _records(annotation: VocAnnotation, path: str, reason: str, split: str) -> list[dict[str, object]]:
    """Return the records of a photo, one for each object, all with its `reason` if it has one."""
    photo = {
        "path": path,
        "split": split or split_folder(path),
        "annotated_width": annotation.width,
        "annotated_height": annotation.height,
    }
    items = annotation.objects or ({},)
    return [{**item, **photo, "reason": reason or item.get("reason", "")} for item in items]


def _without_files(names: Iterable[ListedName], lookup: PathLookup) -> Iterator[dict[str, object]]:
    """Yield a record for each name in a list of a split that has neither an XML file nor a photo."""
    for name in names:
        folders = [join(name.root, folder) for folder in _PHOTO_FOLDERS]
        if not lookup.find_photos(folders, name.name):
            yield {"path": join(folders[0], name.name), "split": name.split, "reason": "missing"}


def _is_in_annotations(folder: str) -> bool:
    return _ANNOTATIONS in folder.lower().split("/")


@cache
def _parts(folder: str) -> tuple[str, str]:
    """Return the folder around `Annotations` and the folder inside of it; any other folder and an empty text."""
    if not _is_in_annotations(folder):
        return folder, ""
    around, inside = folder.split("/"), []
    while (last := around.pop()).lower() != _ANNOTATIONS:
        inside.append(last)
    return "/".join(around), "/".join(reversed(inside))


@cache
def _photo_folders(folder: str) -> tuple[str, ...]:
    """Return where the photos of the XML files in a folder may lie, in the order of the search."""
    if not _is_in_annotations(folder):
        return (folder,)
    root, inside = _parts(folder)
    return *(join(posixpath.join(root, photos), inside) for photos in _PHOTO_FOLDERS), folder


def _listed_key(file: str) -> tuple[str, str]:
    """Return folder and name under which lists of splits name a file."""
    folder, name = posixpath.split(file)
    root, inside = _parts(folder)
    return root, plain(posixpath.join(inside, photo_stem(name[: -len(_ENDING)])))


def _find(file: str, file_name: str, lookup: PathLookup) -> tuple[str, str]:
    """Return the path of the photo and an empty reason, or a path with the reason `missing`."""
    folder, name = posixpath.split(file)
    folders, stem = _photo_folders(folder), name[: -len(_ENDING)]
    own = lookup.find_below(folders, stem) or lookup.find_photos(folders, photo_stem(stem))
    exact = lookup.find_below(folders, file_name) if file_name else []
    named = exact or (lookup.find_photos(folders, photo_stem(file_name)) if file_name else [])
    found = exact if len(exact) == 1 and (not own or exact[0] in own) else list(dict.fromkeys([*named, *own]))
    if len(found) > 1:
        raise LayoutError(
            f"{file}: expected one photo, found {' and '.join(map(ascii, found[:3]))}; `filename` is "
            f"{shown(file_name)}: correct it, or rename or remove a photo"
        )
    if found:
        return found[0], ""
    path = join(next((folder for folder in folders if folder in lookup.folders), folders[-1]), file_name or stem)
    return (join(folders[-1], stem) if leaves_root(path) else path), "missing"


def _read(read_bytes: ReadBytes, file: str) -> VocAnnotation:
    """Read an XML file. Entities of other files are not read, and the parser limits how far entities expand."""
    try:
        root = ElementTree.fromstring(read_bytes(file))
    except _BROKEN:
        return VocAnnotation("bad_annotation")
    if root.tag != "annotation":
        return VocAnnotation("bad_annotation")
    size = root.find("size")
    width, height = (0, 0) if size is None else (declared_size(_text(size, name)) for name in ("width", "height"))
    # Without any box the whole photo is labelled.
    read = _object if root.find("object/bndbox") is not None else _label
    return VocAnnotation("", _text(root, "filename"), width, height, tuple(map(read, root.findall("object"))))


def _label(element: ElementTree.Element) -> dict[str, object]:
    """Return the label of an object."""
    return {"label": _text(element, "name")}


def _object(element: ElementTree.Element) -> dict[str, object]:
    """Return label, box and reason of an object."""
    label, box = _text(element, "name"), element.find("bndbox")
    try:
        x_min, y_min, x_max, y_max = (float(_text(box, name)) for name in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return {"label": label, "reason": "bad_box"}
    return {"label": label, **box_of_corners(x_min - 1, y_min - 1, x_max, y_max)}


def _text(element: ElementTree.Element | None, tag: str) -> str:
    return "" if element is None else (element.findtext(tag) or "").strip()
