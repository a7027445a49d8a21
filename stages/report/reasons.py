"""What the reason codes of the tables mean, in a sentence each."""

SENTENCES = {
    "missing": "The file was listed, but it was not there.",
    "not_a_file": "It is no file but a link to a folder, which is not followed, or a pipe or device.",
    "unreadable": "The system did not let the file be read: its permissions, a loop of links, or a failing disk.",
    "bad_name": "Its name has a line break, a control character or bytes that are no text, so no list could hold it.",
    "outside": "The list gives a path that leaves the list's own folder.",
    "empty_file": "The file has no bytes.",
    "not_an_image": "The bytes are not those of any known picture format.",
    "truncated": "The picture begins well but breaks off: part of the file is lost or damaged.",
    "too_large": "The picture has more pixels than is safe to decode.",
    "changed": "The file's bytes are not those it had when it was first read; ingest has to run again.",
    "duplicate": "Its bytes equal those of another file, which is used instead.",
    "conflicting_labels": "Files with equal bytes carry different labels, so neither label can be trusted.",
    "no_label": "The file lies outside the class folders, or its line in the list names no class.",
    "no_vehicle": "The detector found no vehicle, not even at a low score, and nothing else with confidence.",
    "other_class": "The detector found something with confidence, but nothing of a class that counts as a car here.",
    "low_score": "There are boxes of cars, but all score below the rule's least score.",
    "too_small": "The best box covers less of the photo than the rule asks for.",
    "cut_by_frame": "The photo's edge cuts the best box, and what is left is too narrow or too flat for a whole car.",
    "several_cars": "Another vehicle is nearly as large and as sure as the best one, so none is the main car.",
    "mask_size": "The mask has another size than the crop; the mask stage has to run again.",
    "mask_too_small": "The mask covers too little of the crop to be the whole car, so the whole crop is used.",
    "mask_too_large": "The mask covers nearly all of the crop, so it cuts nothing away; the whole crop is used.",
    "masks_disagree": "The segmenters draw different things, so none is believed; the whole crop is used.",
}
OUTCOMES = {"ok": "used whole", "dropped": "left out", "failed": "not used", "rejected": "not used"}


def explain(code: str) -> str:
    """The sentence for a reason code; says so where the code is not known."""
    return SENTENCES.get(code, "This report knows no explanation of the code; see the stage that gave it.")
