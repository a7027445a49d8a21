"""The web application of the review: its addresses, and what each returns."""

from pathlib import Path
from typing import Literal

import pandas as pd
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from stages import report
from stages.commands.reviewing import class_ranking
from stages.commands.reviewing.decisions import Decision, DecisionStore
from stages.commands.reviewing.pictures import PictureStore
from stages.commands.reviewing.queue import QueueFilter
from stages.commands.reviewing.responses import (
    ChangeRequest,
    ChangeResponse,
    DecisionText,
    NearDuplicate,
    QueueResponse,
    ReviewBox,
    ReviewPhoto,
    ReviewReason,
    StandingDecision,
    UndoRequest,
)
from stages.commands.reviewing.review_data import ReviewData
from stages.commands.reviewing.skipped_photos import SkippedPhotos
from stages.commands.serving.access import AccessGuard, AccessRules
from stages.commands.serving.monitoring import ServerMetrics
from stages.core import command
from stages.core.errors import UserError
from stages.images import boxes
from stages.images.errors import ImageError
from stages.schemas import corrections

_PAGE = Path(__file__).parent / "page"
_STYLE = Path(report.__file__).parent / "templates" / "style.css"
_PAGE_FILES = {
    "/": ([_PAGE / "index.html"], "text/html"),
    "/page.css": ([_STYLE, _PAGE / "page.css"], "text/css"),
    "/page.js": ([_PAGE / name for name in ("box.js", "photo.js", "page.js")], "text/javascript"),
}
_MAX_NEAR_DUPLICATES = 6


class FilterQuery(BaseModel):
    """The filter of the queue in an address; empty for all."""

    reason: str = ""
    label: str = ""
    split: str = ""
    state: Literal["open", "decided", "skipped", "all"] = "open"
    order: Literal["doubt", "class", "path"] = "doubt"


class ReviewService:
    """Answers the page: the queue and its photos from the `data` of a run, decisions to and from their store."""

    def __init__(
        self, data: ReviewData, decisions: DecisionStore, skipped: SkippedPhotos, pictures: PictureStore, who: str
    ) -> None:
        self.data, self.decisions, self.skipped, self.pictures = data, decisions, skipped, pictures
        self._who = who

    def queue(self, chosen: QueueFilter) -> QueueResponse:
        """The photos that a filter shows, and the counts to filter by."""
        queue, decided, skipped = self.data.queue, set(self.decisions.read()["image_id"]), self.skipped.ids()
        image_ids, total = queue.select(chosen, decided, skipped)
        done = decided | skipped
        return QueueResponse(
            image_ids=image_ids,
            done=[image_id for image_id in total if image_id in done],
            n_total=len(total),
            codes=queue.counts("code"),
            labels=queue.counts("label"),
            splits=queue.counts("split"),
            n_unreadable=queue.n_unreadable,
            who=self._who,
        )

    def photo(self, image_id: str) -> ReviewPhoto:
        """All about a photo of the queue. Raises HTTPException 404 for another one."""
        row, reasons = self._row(image_id), self.data.queue.reasons
        predicted = self.data.predicted(image_id)
        ranking = class_ranking.rank(self.data.classes, list(predicted.values()), row["suggested_label"], row["label"])
        corners = self.data.box(image_id)
        own = reasons[reasons["image_id"] == image_id]
        return ReviewPhoto(
            image_id=image_id,
            **{name: row[name] for name in ("path", "label", "split", "width", "height", "suggested_label")},
            box=None if corners is None else ReviewBox(**dict(zip(boxes.COLUMNS, corners))),
            reasons=[ReviewReason(code=code, text=text) for code, text in zip(own["code"], own["text"])],
            predictors=list(predicted),
            rows=ranking.rows,
            suggestions=ranking.suggestions,
            near_duplicates=self._near_duplicates(image_id, row),
            decisions=self._standing(image_id),
        )

    def picture(self, image_id: str, kind: str) -> bytes:
        """A picture of a photo of the queue as a JPEG file. Raises HTTPException 404 with the reason for none."""
        row = self._row(image_id)
        try:
            return self.pictures.read(kind, image_id, row["path"], row["split"])
        except ImageError as error:
            raise HTTPException(404, error.reason) from None

    def change(self, image_id: str, request: ChangeRequest) -> ChangeResponse:
        """Write or remove a decision. Raises HTTPException 404 for another photo, 422 for a value that is none."""
        row = self._row(image_id)
        expected = [Decision(one.kind, one.value) for one in request.expected]
        if request.is_removed:
            self.decisions.remove(image_id, request.kind, expected, request.tab)
        else:
            decision = Decision(request.kind, self._value(request, row))
            self.decisions.decide(image_id, decision, expected, row["codes"], request.tab)
        return ChangeResponse(image_id=image_id, decisions=self._standing(image_id))

    def undo(self, tab: str) -> ChangeResponse:
        """Take back the last change of a tab."""
        image_id = self.decisions.undo(tab) or ""
        return ChangeResponse(image_id=image_id, decisions=self._standing(image_id))

    def skip(self, image_id: str) -> None:
        """Note that somebody has looked at a photo."""
        self._row(image_id)
        self.skipped.add(image_id)

    def _row(self, image_id: str) -> pd.Series:
        photos = self.data.queue.photos
        if image_id not in photos.index:
            raise HTTPException(404, "expected the id of a photo of the queue, found another")
        return photos.loc[[image_id]].iloc[0]

    def _value(self, request: DecisionText, row: pd.Series) -> str:
        """The value as the table has it."""
        if request.kind == corrections.LABEL and request.value not in self.data.classes:
            raise HTTPException(422, f"expected one of the {len(self.data.classes)} classes, found {request.value!r}")
        if request.kind == corrections.BOX:
            return _box_text(request.value, row["width"], row["height"])
        if request.kind != corrections.LABEL and request.value:
            raise HTTPException(422, f"expected no value of `{request.kind}`, found {request.value!r}")
        return request.value

    def _standing(self, image_id: str) -> list[StandingDecision]:
        frame = self.decisions.of_photo(image_id)
        columns = [frame[name] for name in StandingDecision.model_fields]
        return [StandingDecision(**dict(zip(StandingDecision.model_fields, row))) for row in zip(*columns)]

    def _near_duplicates(self, image_id: str, row: pd.Series) -> list[NearDuplicate]:
        if "different_labels" not in row["codes"]:
            return []
        photos = self.data.queue.photos
        group = photos[(photos["group"] == row["group"]) & (photos.index != image_id)].head(_MAX_NEAR_DUPLICATES)
        return [
            NearDuplicate(image_id=str(other.Index), path=other.path, label=other.label) for other in group.itertuples()
        ]


def _box_text(text: str, width: int, height: int) -> str:
    """The corners in whole pixels. Raises HTTPException 422 for a box without area or beyond the photo."""
    corners = corrections.parse_box(text)
    rounded = None if corners is None else corrections.parse_box(corrections.format_box(corners))
    if rounded is None or rounded[2] > width or rounded[3] > height:
        raise HTTPException(
            422, f"expected corners such as `10 20 300 200` within {width} x {height} pixels, found {text!r}"
        )
    return corrections.format_box(rounded)


def create(service: ReviewService, rules: AccessRules) -> AccessGuard:
    """The application, within its guard."""
    app = FastAPI(title="Review", openapi_url=None, docs_url=None, redoc_url=None)
    for path, (files, kind) in _PAGE_FILES.items():
        _add_page(app, path, b"".join(file.read_bytes() for file in files), kind)
    _add_photos(app, service)
    _add_changes(app, service)

    _add_errors(app)
    return AccessGuard(app, rules, ServerMetrics())


def _add_page(app: FastAPI, path: str, content: bytes, kind: str) -> None:
    @app.get(path)
    def page() -> Response:
        return Response(content, media_type=kind)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(UserError)
    def conflict(_: Request, error: Exception) -> JSONResponse:
        # The files on disk and the page do not agree; nothing was written.
        return JSONResponse({"detail": str(error)}, 409)

    @app.exception_handler(OSError)
    def not_written(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": f"expected to write the file, found: {command.one_line(error)}"}, 507)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own response repeats what was sent, which JSON may not be able to hold.
        found = [f"{one['loc'][-1]}: {one['msg']}" for one in error.errors()]
        return JSONResponse({"detail": "; ".join(found).encode("utf-8", "replace").decode()}, 422)


def _add_photos(app: FastAPI, service: ReviewService) -> None:
    @app.post("/v1/queue")
    def queue(chosen: FilterQuery) -> QueueResponse:
        # JSON can hold half of a character, which a column of Arrow cannot be compared with.
        texts = {name: text.encode("utf-8", "replace").decode() for name, text in chosen.model_dump().items()}
        return service.queue(QueueFilter(**texts))

    @app.get("/v1/photos/{image_id}")
    def photo(image_id: str) -> ReviewPhoto:
        return service.photo(image_id)

    @app.get("/v1/photos/{image_id}/{kind}")
    def picture(image_id: str, kind: Literal["photo", "small", "crop", "mask"]) -> Response:
        return Response(service.picture(image_id, kind), media_type="image/jpeg")


def _add_changes(app: FastAPI, service: ReviewService) -> None:
    @app.post("/v1/photos/{image_id}/decision")
    def decide(image_id: str, request: ChangeRequest) -> ChangeResponse:
        return service.change(image_id, request)

    @app.post("/v1/photos/{image_id}/skip")
    def skip(image_id: str) -> ChangeResponse:
        service.skip(image_id)
        return ChangeResponse(image_id=image_id, decisions=[])

    @app.post("/v1/undo")
    def undo(request: UndoRequest) -> ChangeResponse:
        return service.undo(request.tab)
