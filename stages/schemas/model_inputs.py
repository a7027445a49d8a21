"""data/model_inputs/<input>: one image of each used photo, for each entry of `inputs` that a model names."""

from stages.core.archive import Archive

_SUFFIXES = (".png", ".jpg")


def file_name(image_id: str, suffix: str) -> str:
    """The name of a photo's model input, which is a PNG or a JPEG by `resize.format`."""
    return f"{image_id}{suffix}"


def file_names(archive: Archive, image_ids: list[str]) -> list[str]:
    """The names of the model inputs of photos in an archive, in which all are of one format."""
    found = [suffix for suffix in _SUFFIXES if image_ids and file_name(image_ids[0], suffix) in archive]
    return [file_name(image_id, (*found, _SUFFIXES[0])[0]) for image_id in image_ids]
