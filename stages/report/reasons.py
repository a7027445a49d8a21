"""One sentence for each reason code and each note of the tables, for the report and for docs/reasons.md."""

from stages.core.errors import TableError

# By the stage that gives them, in the order of the pipeline.
SENTENCES: dict[str, dict[str, str]] = {
    "scan": {
        "missing": "A table or a link names the file, but it does not exist.",
        "not_a_file": "It is a folder, a pipe or a device, or a link inside an archive.",
        "unreadable": "The system or the server does not let it be read: permissions, a failing disk or network.",
        "link_loop": "It is a link to a folder that holds it, or to itself.",
        "empty_folder": "The folder holds no file; as a class folder it would lose its class without notice.",
        "bad_name": "Its name contains a line break, a control character or bytes that are not text.",
        "outside": "A table or an archive gives a path that leaves the source.",
        "dropped_class": "The class map drops its label.",
        "not_listed": "The annotations of the source do not name the file.",
        "bad_annotation": "Its annotation file cannot be read.",
        "bad_box": "Its annotated box has no area, is no number, or ends outside the photo by more than 2 pixels.",
        "crowd": "The annotated box is of a crowd of objects, not of one.",
        "duplicate_box": "The same box with the same label occurs before.",
    },
    "ingest": {
        "empty_file": "The file has no bytes.",
        "not_an_image": "The bytes are not those of any known image format.",
        "truncated": "The image begins well but breaks off: part of the file is lost or damaged.",
        "unsupported_depth": "Its bit depth or layout cannot be decoded with certainty: the range of its values is not "
        "declared and could be several, or no decoder reads it rightly. Save it with 8 bits a channel.",
        "too_large": "The image has more pixels, or the file more bytes, than is safe to decode.",
        "changed": "The file's bytes are not those it had when it was listed; run `dvc repro` again.",
        "duplicate": "Its bytes equal those of another file, which is used instead.",
        "conflicting_labels": "Files with equal bytes, or equal boxes of one photo, have different labels, so neither "
        "label can be trusted.",
        "no_label": "Its path does not match the layout, or its row or annotation names no class.",
        "annotation_size": "The annotation declares another size than the photo has, so its box cannot be placed.",
        "dropped_by_review": "A decision in data/corrections.csv: the photo is not to be used.",
        "not_a_car": "A decision in data/corrections.csv: the photo shows no object of the classes.",
        "ambiguous_box": "EXIF turns the photo, and the annotation does not say whether its box was drawn before or "
        "after turning.",
    },
    "detect": {
        "worker_died": "The photo ends each process of the Ray cluster that gets it, by its memory or an error of a "
        "library; it is not tried again.",
    },
    "crop": {
        "no_vehicle": "No box of `crop.classes`, and none of another class at `crop.min_score` or more.",
        "other_class": "No box of `crop.classes`, but one of another class at `crop.min_score` or more.",
        "low_score": "Boxes of `crop.classes`, all below `crop.min_score`.",
        "too_small": "The best box, by score x sqrt(area), covers less than `crop.min_area` of the photo.",
        "cut_by_frame": "The best box touches the photo's left or right edge and is less than `crop.min_aspect` times "
        "as wide as high, or the upper or lower edge and is more than `crop.max_aspect` times as wide as high.",
        "several_cars": "Another vehicle, which overlaps the best one by IoU 0.6 at most, has "
        "`crop.max_runner_up_ratio` of the best one's rank or more.",
    },
    "mask": {
        "mask_too_small": "The mask covers less of the crop than `mask.min_coverage`; the whole crop is used.",
        "mask_too_large": "The mask covers more of the crop than `mask.max_coverage`; the whole crop is used.",
        "background_kept_by_review": "A decision in data/corrections.csv: the whole crop is used.",
        "masks_disagree": "The mean pairwise IoU of the segmenters' masks is below `mask.min_agreement`; the whole "
        "crop is used.",
    },
    "ensemble": {
        "unsure": "A note of `predict` and `serve`: the probability of the predicted class is below the threshold of "
        "`ensemble.abstain`; such predictions are wrong more often than its `max_risk` allows.",
    },
    "novelty": {
        "unknown": "A note of `predict` and `serve`: the photo resembles those of no class; its novelty is above the "
        "threshold of `novelty.max_false_alarms`.",
    },
}
# What was done to use a photo: the codes of `images.DecodedPhoto.note`, joined by ";" where there are several.
NOTES: dict[str, str] = {
    "incomplete_jpeg": "The file lacks its last bytes, but 95 % of the pixels or more (of the last scan, for a "
    "progressive JPEG) are there; the rest is grey, or less sharp.",
    "bad_colour_profile": "Its colour profile is broken or for another kind of image, and was ignored.",
    "untagged_adobe_rgb": "Its EXIF data say Adobe RGB, but it has no colour profile; its colours were taken for sRGB, "
    "and may be too pale.",
}
OUTCOMES = {"ok": "full image used", "dropped": "dropped", "failed": "not used", "rejected": "not used"}
_BY_CODE = {code: sentence for sentences in SENTENCES.values() for code, sentence in sentences.items()}
_HEAD = """# Reasons

Every table has one row per input file. A photo that a stage rejects keeps its row, with one of these reasons; no broken
photo stops a run. What a photo without a main car becomes is `crop.on_no_box`: used whole (the default, so that every
readable photo gets a prediction and is counted), or dropped.

This page is generated from the code: `python -m stages docs`.
"""

_NOTES_HEAD = """A photo with a note is used. The note says what was done to decode it; several are joined by `;`.
"""


def explain(code: str) -> str:
    """The sentence for a reason code. Raises TableError for a code that no stage gives."""
    if code not in _BY_CODE:
        raise TableError(f"expected one of the reasons {', '.join(_BY_CODE)}, found {code!r}; run `dvc repro`")
    return _BY_CODE[code]


def explain_note(note: str) -> str:
    """The sentences for the codes of a note, "" for none. Raises TableError for a code that decoding does not give."""
    codes = note.split(";") if note else []
    unknown = [code for code in codes if code not in NOTES]
    if unknown:
        raise TableError(f"expected notes of {', '.join(NOTES)}, found {unknown[0]!r}; run `dvc repro`")
    return " ".join(NOTES[code] for code in codes)


def page() -> str:
    """The text of docs/reasons.md."""
    tables = [
        f"\n## {stage}\n\n| reason | meaning |\n| --- | --- |\n" + _rows(sentences)
        for stage, sentences in SENTENCES.items()
    ]
    notes = f"\n## Notes\n\n{_NOTES_HEAD}\n| note | meaning |\n| --- | --- |\n" + _rows(NOTES)
    return _HEAD + "".join(tables) + notes


def _rows(sentences: dict[str, str]) -> str:
    return "".join(f"| `{code}` | {sentence} |\n" for code, sentence in sentences.items())
