"""Boxes and categories in the column `objects` of a metadata file."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.scan.cells import Cells, shown
from stages.scan.rows import box_of_xywh

COLUMN, _BOX = "objects", "bbox"
_CATEGORIES = ("categories", "category", "label")


class ObjectList(NamedTuple):
    """Boxes of a photo, and as many categories, or None where the metadata has none."""

    boxes: list[Any]
    categories: list[Any] | None


def parse_objects(cells: Cells) -> list[ObjectList]:
    """Return the objects of each row. Raises LayoutError naming a row with anything but boxes and their categories."""
    if COLUMN not in cells.columns:
        return [ObjectList([], None)] * len(cells.numbers)
    return [_parse(cells, row, value) for row, value in cells.rows(COLUMN)]


def records(cells: Cells, row: int, objects: ObjectList) -> list[dict[str, object]]:
    """Return `label`, if there are categories, box and reason of each object; one empty record if there is none."""
    boxes = [box_of_xywh(box) for box in objects.boxes]
    if objects.categories is None:
        return boxes or [{}]
    labels = [_label(cells, row, category) for category in objects.categories]
    return [{"label": label, **box} for label, box in zip(labels, boxes)] or [{}]


def _parse(cells: Cells, row: int, value: Any) -> ObjectList:
    lists = _as_lists(value)
    boxes, categories = lists.get(_BOX, []), next((lists[name] for name in _CATEGORIES if name in lists), None)
    if "" in lists or not _is_list(boxes) or not (categories is None or _is_list(categories)):
        raise cells.error(
            row,
            f"expected lists `{_BOX}` and `{_CATEGORIES[0]}` in `{COLUMN}`, found {shown(value)}; use metadata.jsonl",
        )
    if categories is not None and len(categories) != len(boxes):
        raise cells.error(
            row,
            f"expected a category for each `{_BOX}` in `{COLUMN}`, found {len(categories)} categories of "
            f"{len(boxes)} boxes",
        )
    return ObjectList(list(boxes), None if categories is None else list(categories))


def _as_lists(value: Any) -> dict[str, Any]:
    """Return lists by name, of a mapping of lists or a list of mappings; under an empty name what is neither."""
    if isinstance(value, dict):
        return {name: values for name, values in value.items() if name and values is not None}
    if value is None or value is pd.NA:
        return {}
    if not _is_list(value) or not all(isinstance(item, dict) for item in value):
        return {"": value}
    names = {name for item in value for name in item if name}
    return {name: [item.get(name) for item in value] for name in names}


def _is_list(value: Any) -> bool:
    return isinstance(value, list | np.ndarray)


def _label(cells: Cells, row: int, category: Any) -> str:
    if isinstance(category, list | dict | np.ndarray):
        raise cells.error(row, f"expected a text or a number as category in `{COLUMN}`, found {shown(category)}")
    return "" if category is None else str(category)
