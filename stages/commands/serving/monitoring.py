"""Counts and times of the server, for Prometheus."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

_CLASSIFIED = "classified"
# Without the time at which each counter was made.
disable_created_metrics()


class ServerMetrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("cars_requests", "Requests by status.", ["status"], registry=registry)
        self.seconds = Histogram("cars_predict_seconds", "Seconds from request to response.", registry=registry)
        self._photos = Counter("cars_photos", "Photos, classified or by reason.", ["result"], registry=registry)
        self.waiting = Gauge("cars_waiting_photos", "Photos that wait for the networks.", registry=registry)
        sizes = (1, 2, 4, 8, 16, 32, 64)
        self.batch_photos = Histogram("cars_batch_photos", "Photos in a batch.", buckets=sizes, registry=registry)
        self.upload_bytes = Gauge("cars_upload_bytes", "Bytes reserved for uploads.", registry=registry)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def count(self, reason: str) -> None:
        """Count a photo, classified where `reason` is empty."""
        self._photos.labels(reason or _CLASSIFIED).inc()

    def n_photos(self) -> tuple[int, int]:
        """The number of classified photos, and of those that could not be used."""
        counts = {
            sample.labels["result"]: int(sample.value)
            for metric in self._photos.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }
        classified = counts.pop(_CLASSIFIED, 0)
        return classified, sum(counts.values())

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self._registry)
