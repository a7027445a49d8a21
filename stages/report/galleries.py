"""The galleries: which photos are shown, in which order, with what beside them."""

from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from stages.report import reasons
from stages.report.pictures import GalleryImage, ThumbnailStore, boxes_of, gallery_image, is_chosen_box
from stages.report.sampling import sample
from stages.report.settings import ReportSettings

# Of a group of near-duplicates, so many are shown.
_PER_GROUP = 4


class Marks(NamedTuple):
    """What the page filters a card by: class, split and outcome of its photos, one a line."""

    label: str
    split: str
    outcome: str


@dataclass(frozen=True)
class Card:
    """One photo of a gallery: `badge` is a short mark, `details` a list that is folded away under `summary`."""

    marks: Marks
    title: str
    shots: tuple[GalleryImage, ...]
    lines: tuple[str, ...]
    badge: str = ""
    summary: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Some of `total` photos, under a title, with a sentence about them: drawn by lot, or the first if `is_ranked`."""

    title: str
    sentence: str
    total: int
    cards: tuple[Card, ...]
    is_ranked: bool = False


class GalleryBuilder:
    """Makes galleries of the photos in `rows` and their boxes `found`, with pictures from `album`."""

    def __init__(self, found: pd.DataFrame, album: ThumbnailStore, settings: ReportSettings) -> None:
        self._found = found
        self._places = found.groupby("image_id").indices
        self._album = album
        self._settings = settings

    @property
    def seed(self) -> int:
        """What the galleries that cannot show all are drawn with."""
        return self._settings.seed

    def _sample(self, rows: pd.DataFrame) -> pd.DataFrame:
        return sample(rows, self._settings.photos_per_gallery, self._settings.seed)

    def detections(self, rows: pd.DataFrame) -> Gallery:
        """Photos with a chosen car, all boxes drawn."""
        chosen = rows[rows["is_cropped"]]
        cards = tuple(self._photo_card(row) for _, row in self._sample(chosen).iterrows())
        sentence = "Thick: the box that was chosen. Thin: every other box, down to the lowest score kept."
        return Gallery("Photos with a chosen car", sentence, len(chosen), cards)

    def rejects(self, rows: pd.DataFrame) -> list[Gallery]:
        """One gallery for each reason code that occurs, the commonest first."""
        counts = rows.loc[rows["reason"] != "", "reason"].value_counts()
        codes = sorted(counts.index, key=lambda code: (-counts[code], code))
        return [self._rejects_of(rows[rows["reason"] == code], code) for code in codes]

    def _rejects_of(self, rows: pd.DataFrame, code: str) -> Gallery:
        outcomes = rows["status"].map(reasons.OUTCOMES).value_counts().sort_index()
        became = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        cards = tuple(self._photo_card(row) for _, row in self._sample(rows).iterrows())
        return Gallery(code, f"{reasons.explain(code)} Here: {became}.", len(rows), cards)

    def _photo_card(self, row: pd.Series) -> Card:
        found = self._found.iloc[self._places.get(row["image_id"], []) if row["is_usable"] else []]
        look = self._album.photo(row["path"], row["image_id"])
        alt = f"Photo {row['path']} with {len(found)} boxes"
        lines = [_labelled(row)]
        if row["is_cropped"]:
            lines.append(f"chosen: {row['class_name']} {row['score']:.2f}")
        listed = tuple(
            f"{box.class_name} {box.score:.2f}{', chosen' if is_chosen else ''}"
            for box, is_chosen in zip(found.itertuples(), is_chosen_box(found, row))
        )
        shots = (gallery_image(look, alt, boxes_of(found, row, look)),)
        return Card(
            _marks(row), row["path"], shots, tuple(lines), "", f"all {len(found)} boxes" if listed else "", listed
        )

    def masks(self, rows: pd.DataFrame) -> list[Gallery]:
        """Masks that are not used, then those that are, each from the one that the segmenters agree on least."""
        drawn = rows[rows["coverage"].notna()]
        unused, used = drawn[~drawn["is_masked"]], drawn[drawn["is_masked"]]
        why = " ".join(reasons.explain(code) for code in sorted(unused["mask_reason"].unique()))
        return [
            self._masks_of(unused, "Masks not used", why or "None."),
            self._masks_of(
                used, "Masks used", "The segmenters agree least on the first. What goes is tinted, then gone."
            ),
        ]

    def _masks_of(self, rows: pd.DataFrame, title: str, sentence: str) -> Gallery:
        ordered = self._sample(rows).sort_values(["agreement", "coverage"], kind="stable")
        return Gallery(title, sentence, len(rows), tuple(self._mask_card(row) for _, row in ordered.iterrows()))

    def _mask_card(self, row: pd.Series) -> Card:
        before = gallery_image(self._album.tinted(row["image_id"]), f"Crop of {row['path']}, its background tinted")
        after = gallery_image(self._album.masked(row["image_id"]), f"Crop of {row['path']} without its background")
        agreement = "" if pd.isna(row["agreement"]) else f", agreement {row['agreement']:.1%}"
        lines = (_labelled(row), f"coverage {row['coverage']:.1%}{agreement}")
        return Card(_marks(row), row["path"], (before, after), lines, row["mask_reason"])

    def steps(self, rows: pd.DataFrame) -> Gallery:
        """Some photos that reached the models: the photo, its crop, and what the models see."""
        used = rows[rows["status"] == "ok"]
        cards = tuple(self._steps_card(row) for _, row in self._sample(used).iterrows())
        sentence = "The photo with its boxes, what was cut out, and the padded picture that the models see."
        return Gallery("Before and after", sentence, len(used), cards)

    def _steps_card(self, row: pd.Series) -> Card:
        photo = self._photo_card(row)
        crop = gallery_image(self._album.crop(row["image_id"]), f"Crop of {row['path']}")
        padded = gallery_image(self._album.padded(row["file"]), f"Picture of {row['path']} as the models see it")
        return Card(_marks(row), row["path"], (*photo.shots, crop, padded), photo.lines)

    def duplicates(self, rows: pd.DataFrame) -> Gallery:
        """Groups of near-duplicates, those with several labels first, side by side."""
        usable = rows[rows["is_usable"]]
        by_group = usable.groupby("group")
        members, firsts = by_group.indices, usable[by_group["image_id"].transform("size") > 1].drop_duplicates("group")
        is_mixed = firsts["group"].map(by_group["label"].nunique()) > 1
        mixed = self._sample(firsts[is_mixed])
        rest = self._sample(firsts[~is_mixed]).head(self._settings.photos_per_gallery - len(mixed))
        cards = tuple(self._group_card(usable.iloc[members[group]]) for group in (*mixed["group"], *rest["group"]))
        sentence = "Photos nearly alike share a split. Those with different labels come first: one may be wrong."
        return Gallery("Near-duplicates", sentence, len(firsts), cards)

    def _group_card(self, group: pd.DataFrame) -> Card:
        first = group.head(_PER_GROUP)
        looks = [self._album.photo(row["path"], row["image_id"]) for _, row in first.iterrows()]
        shots = tuple(gallery_image(look, f"Photo {path}") for look, path in zip(looks, first["path"]))
        badge = "different labels" if group["label"].nunique() > 1 else ""
        lines = tuple(f"{row.path}: {row.label}" for row in first.itertuples())
        marks = Marks(*("\n".join(sorted(set(group[name]))) for name in ("label", "split", "outcome")))
        return Card(marks, f"{len(group)} photos", shots, lines, badge)

    def errors(self, judged: pd.DataFrame) -> Gallery:
        """Test photos that the ensemble gets wrong, the surest wrong answer first."""
        wrong = judged[judged["label"] != judged["predicted"]]
        ordered = self._sample(wrong).sort_values("probability", ascending=False, kind="stable")
        cards = tuple(self._error_card(row) for _, row in ordered.iterrows())
        return Gallery("Wrong answers on test", "The surest wrong answer comes first.", len(wrong), cards)

    def _error_card(self, row: pd.Series) -> Card:
        alt = f"Picture of {row['path']} as the models see it"
        lines = (
            f"said: {row['predicted']}, {row['probability']:.1%}",
            f"true: {row['label']}, {row['true_probability']:.1%}",
        )
        return Card(_marks(row), row["path"], (gallery_image(self._album.padded(row["file"]), alt),), lines)

    def suspects(self, rows: pd.DataFrame, suspects: pd.DataFrame) -> list[Gallery]:
        """Photos whose label the networks contradict, then photos unlike all others, the most doubtful first."""
        chosen = rows[rows["status"] == "ok"].set_index("image_id", drop=False)[["image_id", "file", "outcome"]]
        found = suspects.merge(chosen.reset_index(drop=True), on="image_id", how="inner")
        wrong, far = (found[found["kind"] == kind] for kind in ("label_error", "outlier"))
        by_probability = "Networks that did not learn from the photo name another class; the least likely label first."
        by_distance = (
            "Distance from the nearest photos of train, in multiples of one that is already far; farthest first."
        )
        galleries = [
            Gallery("Labels in doubt", by_probability, len(wrong), self._suspect_cards(wrong), True),
            Gallery("Unlike all others", by_distance, len(far), self._suspect_cards(far), True),
        ]
        return [gallery for gallery in galleries if gallery.total]

    def _suspect_cards(self, found: pd.DataFrame) -> tuple[Card, ...]:
        first = found.head(self._settings.photos_per_gallery)
        return tuple(self._suspect_card(row) for _, row in first.iterrows())

    def _suspect_card(self, row: pd.Series) -> Card:
        alt = f"Picture of {row['path']} as the models see it"
        is_outlier = row["kind"] == "outlier"
        says = f"distance: {row['score']:.1f}" if is_outlier else f"suggested: {row['suggested']}"
        given = f"given: {row['label']}" + ("" if is_outlier else f", probability {row['score']:.1%}")
        shots = (gallery_image(self._album.padded(row["file"]), alt),)
        return Card(_marks(row), row["path"], shots, (given, says, row["split"]))


def _marks(row: pd.Series) -> Marks:
    return Marks(row["label"], row["split"], row["outcome"])


def _labelled(row: pd.Series) -> str:
    return ", ".join(filter(None, (row["label"] or "no label", row["split"])))
