"""The web application: its addresses, and what each returns."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from stages import report
from stages.commands.ensemble_heat_maps import EnsembleHeatMaps
from stages.commands.serving import uploads
from stages.commands.serving.access import AccessGuard, AccessRules
from stages.commands.serving.limits import ServingLimits
from stages.commands.serving.monitoring import ServerMetrics
from stages.commands.serving.photo_queue import PhotoQueue, QueueFullError, Wanted
from stages.commands.serving.responses import (
    EnsembleResponse,
    ErrorResponse,
    HealthResponse,
    PhotoResponse,
    PredictResponse,
)
from stages.commands.serving.uploads import Upload, UploadBudget
from stages.commands.trained_ensemble import Ensemble
from stages.images import images

Value = TypeVar("Value")
_PAGE = Path(__file__).parent / "page"
_REPORT_STYLE = Path(report.__file__).parent / "templates" / "style.css"
# The page and its parts, each the files that it is joined from, and its media type.
_PAGE_FILES = {
    "/": ([_PAGE / "index.html"], "text/html"),
    "/page.css": ([_REPORT_STYLE, _PAGE / "page.css"], "text/css"),
    "/page.js": ([_PAGE / "page.js"], "text/javascript"),
}
_REFUSALS = {
    400: "not multipart, no file, too many files, or other fields",
    401: "no token, or another",
    403: "sent by another page",
    408: "the upload took too long",
    413: "too many bytes",
    415: "not multipart/form-data",
    421: "called by a name that is not the server's",
    429: "no place in the queue; `Retry-After` says when to try again",
    504: "no response in time",
}
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "Bearer"}},
    429: {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds", "required": True}},
}


class PredictService:
    """Responds to requests with photos: reads their files, queues them, waits for the predictions."""

    def __init__(
        self,
        ensemble: Ensemble,
        load_heat_maps: Callable[[], EnsembleHeatMaps],
        limits: ServingLimits,
        metrics: ServerMetrics,
    ) -> None:
        self.queue, self.metrics = PhotoQueue(ensemble, load_heat_maps, limits, metrics), metrics
        self.limits, self._budget = limits, UploadBudget(limits, metrics)

    async def predict(self, request: Request, n_classes: int, wanted: Wanted) -> PredictResponse:
        """The predictions for the photos of a request. Raises HTTPException as _REFUSALS says."""
        deadline = asyncio.get_running_loop().time() + self.limits.seconds
        with self.metrics.seconds.time(), self._budget.reserve(uploads.declared_bytes(request, self.limits)):
            files = await _before(deadline, 408, uploads.read(request, self.limits))
            responses = await _before(deadline, 504, self._responses(files, wanted))
        for response in responses:
            self.metrics.count(response.reason)
        return PredictResponse(photos=[_named(*pair, n_classes) for pair in zip(responses, files)])

    async def _responses(self, files: list[Upload], wanted: Wanted) -> list[PhotoResponse]:
        try:
            queued = self.queue.submit([file.content for file in files], wanted)
        except QueueFullError as error:
            raise HTTPException(429, str(error), {"Retry-After": str(error.seconds)}) from None
        return await asyncio.gather(*map(asyncio.wrap_future, queued))


async def _before(deadline: float, status: int, work: Awaitable[Value]) -> Value:
    """The result of `work`; what waits in it is cancelled at the deadline. Raises HTTPException `status` then."""
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except TimeoutError:
        # Of an upload that took too long, a rest may still come: it is no next request.
        headers = {"Connection": "close"} if status == 408 else None
        raise HTTPException(status, f"expected to be done in time, found: {_REFUSALS[status]}", headers) from None


def _named(response: PhotoResponse, file: Upload, n_classes: int) -> PhotoResponse:
    identity = {"name": file.name, "image_id": images.image_id(file.content)}
    return response.model_copy(update={**identity, "predictions": response.predictions[:n_classes]})


def create(service: PredictService, description: EnsembleResponse, rules: AccessRules) -> AccessGuard:
    """The application, within its guard."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.queue.close)

    app = FastAPI(
        title="Car classification",
        version="1",
        description=f"Ensemble of {len(description.models)} models for {len(description.classes)} classes.",
        docs_url=None,  # its scripts would come from another server
        redoc_url=None,
        lifespan=lifespan,
    )
    # The guard looks at the token; this only says in OpenAPI where one is needed.
    token = [Depends(HTTPBearer(auto_error=False))] if rules.token else []
    _add_predict(app, service, token)
    _add_state(app, service, description, token)
    for path, (files, kind) in _PAGE_FILES.items():
        _add_page(app, path, b"".join(file.read_bytes() for file in files), kind)
    return AccessGuard(app, rules, service.metrics)


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": ErrorResponse, "description": _REFUSALS[status], "headers": _HEADERS.get(status, {})}
        for status in statuses
    }


def _files_body(max_files: int) -> dict[str, Any]:
    """The body of a request in OpenAPI: FastAPI would read a declared one itself, without the limits."""
    photos = {
        "type": "array",
        "minItems": 1,
        "maxItems": max_files,
        "items": {"type": "string", "format": "binary"},
        "description": "photos, of any name",
    }
    schema = {
        "type": "object",
        "required": [uploads.FIELD],
        "additionalProperties": False,
        "properties": {uploads.FIELD: photos},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def _add_predict(app: FastAPI, service: PredictService, token: list[Any]) -> None:
    body = _files_body(service.limits.max_files)

    @app.post("/v1/predict", openapi_extra=body, responses=_refusals(*_REFUSALS), dependencies=token)
    async def predict(
        request: Request,
        top: Annotated[int, Query(ge=1, le=10_000, description="number of classes")] = 5,
        inputs: Annotated[bool, Query(description="also return what the models saw of each photo")] = False,
        explain: Annotated[bool, Query(description="also return a heat map of where the models looked")] = False,
    ) -> PredictResponse:
        """Classify the photos of a multipart request. One that cannot be used has a reason."""
        return await service.predict(request, top, Wanted(inputs, explain))


def _add_state(app: FastAPI, service: PredictService, description: EnsembleResponse, token: list[Any]) -> None:
    down: dict[int | str, dict[str, Any]] = {503: {"model": HealthResponse, "description": "the networks have stopped"}}

    @app.get("/v1/health", responses=down | _refusals(403, 421))
    async def health(response: Response) -> HealthResponse:
        """Whether the networks work, and how many photos wait for them."""
        is_alive = service.queue.is_alive()
        response.status_code = 200 if is_alive else 503
        return HealthResponse(status="ok" if is_alive else "stopped", waiting=service.queue.n_waiting())

    @app.get("/v1/model", responses=_refusals(401, 403, 421), dependencies=token)
    async def model() -> EnsembleResponse:
        """The ensemble: classes, models with their weights, what they see, and the limits of the server."""
        return description

    content = {"content": {"text/plain": {}}, "description": "metrics in the text format of Prometheus"}
    text: dict[int | str, dict[str, Any]] = {200: content}

    @app.get("/metrics", response_class=Response, responses=text | _refusals(401, 403, 421), dependencies=token)
    async def metrics() -> Response:
        """Counts and times, for Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _add_page(app: FastAPI, path: str, content: bytes, kind: str) -> None:
    @app.get(path, include_in_schema=False)
    async def page() -> Response:
        return Response(content, media_type=kind)
