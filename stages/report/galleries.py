"""The galleries of the report: cards of photos in their order, with captions."""

from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from stages.report import reasons
from stages.report.pictures import (
    GalleryImage,
    HeatMapStore,
    ThumbnailStore,
    gallery_image,
    is_chosen_box,
    thumbnail_boxes,
)
from stages.report.sampling import sample
from stages.report.settings import ReportSettings
from stages.schemas.manifest import UNLABELLED

# Photos shown of a group of near-duplicates.
_PER_GROUP = 4


class Marks(NamedTuple):
    """What the page filters a card by: class, split and outcome of its photos, one per line."""

    label: str
    split: str
    outcome: str


@dataclass(frozen=True)
class Card:
    """One photo of a gallery: `badge` is a short mark, `details` a list folded under `summary`."""

    marks: Marks
    title: str
    images: tuple[GalleryImage, ...]
    lines: tuple[str, ...]
    badge: str = ""
    summary: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Cards of some of `total` photos with a title and a sentence: a random sample, or the first if `is_ranked`."""

    title: str
    sentence: str
    total: int
    cards: tuple[Card, ...]
    is_ranked: bool = False


class GalleryBuilder:
    """Builds galleries from rows of photos, their `detections`, and thumbnails from `store` and `heat_maps`."""

    def __init__(
        self,
        detections: pd.DataFrame,
        store: ThumbnailStore,
        settings: ReportSettings,
        heat_maps: HeatMapStore | None = None,
    ) -> None:
        self._detections = detections
        self._places = detections.groupby("image_id").indices
        self._store = store
        self._settings = settings
        self._heat_maps = heat_maps

    @property
    def seed(self) -> int:
        """The seed of the samples."""
        return self._settings.seed

    @property
    def store(self) -> ThumbnailStore:
        """The source of thumbnails."""
        return self._store

    def _sample(self, rows: pd.DataFrame) -> pd.DataFrame:
        return sample(rows, self._settings.photos_per_gallery, self._settings.seed)

    def detections(self, rows: pd.DataFrame) -> Gallery:
        """Photos with a main car and all their boxes."""
        chosen = rows[rows["is_cropped"]]
        cards = tuple(self._photo_card(row) for _, row in self._sample(chosen).iterrows())
        sentence = "Thick: the box of the main car. Thin: all other detections, down to `detect.min_score`."
        return Gallery("Photos with a main car", sentence, len(chosen), cards)

    def rejected(self, rows: pd.DataFrame) -> list[Gallery]:
        """A gallery for each reason code, the most frequent first."""
        counts = rows.loc[rows["reason"] != "", "reason"].value_counts()
        codes = sorted(counts.index, key=lambda code: (-counts[code], code))
        return [self._rejected_for(rows[rows["reason"] == code], code) for code in codes]

    def _rejected_for(self, rows: pd.DataFrame, code: str) -> Gallery:
        outcomes = rows["status"].map(reasons.OUTCOMES).value_counts().sort_index()
        counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        cards = tuple(self._photo_card(row) for _, row in self._sample(rows).iterrows())
        return Gallery(code, f"{reasons.explain(code)} Here: {counts}.", len(rows), cards)

    def _photo_card(self, row: pd.Series) -> Card:
        detections = self._detections.iloc[self._places.get(row["image_id"], []) if row["is_usable"] else []]
        thumbnail = self._store.photo(row["path"], row["image_id"], row["split"])
        alt = f"Photo {row['path']} with {len(detections)} boxes"
        lines = [_label_and_split(row), *filter(None, [reasons.explain_note(row["note"])])]
        if row["is_cropped"]:
            lines.append(f"main car: {row['class_name']} {row['score']:.2f}")
        listed = tuple(
            f"{box.class_name} {box.score:.2f}{', main car' if is_chosen else ''}"
            for box, is_chosen in zip(detections.itertuples(), is_chosen_box(detections, row))
        )
        images = (gallery_image(thumbnail, alt, thumbnail_boxes(detections, row, thumbnail)),)
        return Card(
            _marks(row), row["path"], images, tuple(lines), "", f"all {len(detections)} boxes" if listed else "", listed
        )

    def masks(self, rows: pd.DataFrame) -> list[Gallery]:
        """Masks that are not used, then those that are, in ascending order of agreement, or of coverage."""
        drawn = rows[rows["coverage"].notna()]
        unused, used = drawn[~drawn["is_masked"]], drawn[drawn["is_masked"]]
        # A single segmenter agrees with none.
        first = "agreement of the segmenters" if drawn["agreement"].notna().any() else "coverage"
        order = f"Lowest {first} first. Left: background tinted. Right: background removed."
        why = " ".join(reasons.explain(code) for code in sorted(unused["mask_reason"].unique()))
        return [
            self._mask_gallery(unused, "Masks not used", why or "None."),
            self._mask_gallery(used, "Masks used", order),
        ]

    def _mask_gallery(self, rows: pd.DataFrame, title: str, sentence: str) -> Gallery:
        ordered = self._sample(rows).sort_values(["agreement", "coverage"], kind="stable")
        return Gallery(title, sentence, len(rows), tuple(self._mask_card(row) for _, row in ordered.iterrows()))

    def _mask_card(self, row: pd.Series) -> Card:
        before = gallery_image(self._store.tinted(row["image_id"]), f"Crop of {row['path']}, its background tinted")
        after = gallery_image(self._store.masked(row["image_id"]), f"Crop of {row['path']} without its background")
        agreement = "" if pd.isna(row["agreement"]) else f", agreement {row['agreement']:.1%}"
        lines = (_label_and_split(row), f"coverage {row['coverage']:.1%}{agreement}")
        return Card(_marks(row), row["path"], (before, after), lines, row["mask_reason"])

    def steps(self, rows: pd.DataFrame) -> Gallery:
        """Photos that reached the models: photo, crop and model inputs."""
        used = rows[rows["status"] == "ok"]
        cards = tuple(self._steps_card(row) for _, row in self._sample(used).iterrows())
        sentence = "Photo with its boxes, crop, and what the models see."
        return Gallery("From photo to model input", sentence, len(used), cards)

    def _steps_card(self, row: pd.Series) -> Card:
        photo = self._photo_card(row)
        crop = gallery_image(self._store.crop(row["image_id"]), f"Crop of {row['path']}")
        return Card(_marks(row), row["path"], (*photo.images, crop, *self._model_inputs(row)), photo.lines)

    def _model_inputs(self, row: pd.Series) -> tuple[GalleryImage, ...]:
        inputs = self._store.model_inputs(row["image_id"])
        return tuple(
            gallery_image(image, f"{caption.capitalize()} of {row['path']}") for caption, image in inputs.items()
        )

    def _explained(self, row: pd.Series, label: str) -> tuple[GalleryImage, ...]:
        """What the models see of a photo, and where they looked for a class."""
        maps = self._heat_maps.of(row, label) if self._heat_maps and label else []
        alt = f"Heat map of {row['path']} for {label}"
        return (*self._model_inputs(row), *(gallery_image(image, alt) for image in maps))

    def duplicates(self, rows: pd.DataFrame) -> Gallery:
        """Groups of near-duplicates, side by side, those with different splits or labels first."""
        usable = rows[rows["is_usable"] & (rows["split"] != UNLABELLED)]
        by_group = usable.groupby("group")
        members, firsts = by_group.indices, usable[by_group["image_id"].transform("size") > 1].drop_duplicates("group")
        n_different = by_group[["label", "split"]].nunique().max(axis=1)
        is_mixed = firsts["group"].map(n_different) > 1
        mixed = self._sample(firsts[is_mixed])
        rest = self._sample(firsts[~is_mixed]).head(self._settings.photos_per_gallery - len(mixed))
        cards = tuple(self._group_card(usable.iloc[members[group]]) for group in (*mixed["group"], *rest["group"]))
        sentence = (
            "Near-duplicates are in the same split, unless splits are given. Groups in different splits, and groups "
            "with different labels, of which one may be wrong, come first."
        )
        return Gallery("Near-duplicates", sentence, len(firsts), cards)

    def _group_card(self, group: pd.DataFrame) -> Card:
        first = group.head(_PER_GROUP)
        thumbnails = [self._store.photo(row["path"], row["image_id"], row["split"]) for _, row in first.iterrows()]
        images = tuple(gallery_image(thumbnail, f"Photo {path}") for thumbnail, path in zip(thumbnails, first["path"]))
        different = [f"different {name}s" for name in ("label", "split") if group[name].nunique() > 1]
        badge = ", ".join(different)
        lines = tuple(f"{row.path}: {row.label}, {row.split}" for row in first.itertuples())
        marks = Marks(*("\n".join(sorted(set(group[name]))) for name in ("label", "split", "outcome")))
        return Card(marks, f"{len(group)} photos", images, lines, badge)

    def errors(self, predicted: pd.DataFrame) -> Gallery:
        """Test photos with a wrong prediction of the ensemble, the most confident first."""
        wrong = predicted[predicted["label"] != predicted["predicted"]]
        ordered = self._sample(wrong).sort_values("probability", ascending=False, kind="stable")
        cards = tuple(self._error_card(row) for _, row in ordered.iterrows())
        sentence = "Ordered by confidence, highest first. Last: where the models looked for the predicted class."
        return Gallery("Wrong predictions on test", sentence, len(wrong), cards)

    def _error_card(self, row: pd.Series) -> Card:
        lines = (
            f"predicted: {row['predicted']}, {row['probability']:.1%}",
            f"true: {row['label']}, {row['true_probability']:.1%}",
        )
        return Card(_marks(row), row["path"], self._explained(row, row["predicted"]), lines)

    def issues(self, rows: pd.DataFrame, issues: pd.DataFrame) -> list[Gallery]:
        """Label issues, then outliers, the most severe first."""
        used = rows[rows["status"] == "ok"].set_index("image_id", drop=False)[["image_id", "outcome"]]
        shown = issues.merge(used.reset_index(drop=True), on="image_id", how="inner")
        label_issues, outliers = (shown[shown["kind"] == kind] for kind in ("label_issue", "outlier"))
        by_probability = (
            "Out-of-sample predictions contradict the label. Ordered by the probability that it is wrong. Last: where "
            "the models looked for the suggested label."
        )
        by_distance = (
            "Photos beyond the outlier threshold of every model. Ordered by distance from the photos of train, as a "
            "multiple of the threshold, highest first."
        )
        galleries = [
            Gallery("Label issues", by_probability, len(label_issues), self._issue_cards(label_issues), True),
            Gallery("Outliers", by_distance, len(outliers), self._issue_cards(outliers), True),
        ]
        return [gallery for gallery in galleries if gallery.total]

    def _issue_cards(self, issues: pd.DataFrame) -> tuple[Card, ...]:
        first = issues.head(self._settings.photos_per_gallery)
        return tuple(self._issue_card(row) for _, row in first.iterrows())

    def _issue_card(self, row: pd.Series) -> Card:
        is_outlier = row["kind"] == "outlier"
        label = f"label: {row['label']}" + ("" if is_outlier else f", wrong with probability {row['score']:.1%}")
        finding = f"distance: {row['score']:.1f}" if is_outlier else f"suggested label: {row['suggested_label']}"
        return Card(
            _marks(row), row["path"], self._explained(row, row["suggested_label"]), (label, finding, row["split"])
        )


def _marks(row: pd.Series) -> Marks:
    return Marks(row["label"], row["split"], row["outcome"])


def _label_and_split(row: pd.Series) -> str:
    return ", ".join(filter(None, (row["label"] or "no label", row["split"])))
