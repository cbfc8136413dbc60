"""What Prometheus is told: how much came, went and waits, and who works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from exvad.serving.schemas.analyses import ServedModel


class QueueCollector(Collector):
    """The figures of a moment.

    Args:
        counts: what the queue has counted since its file was made; see `Queue.counts`.
        waiting: analyses that are neither done nor failed.
        workers: the replicas that analyze.
        streams: live streams that are watched.
    """

    def __init__(
        self,
        counts: Mapping[str, float],
        waiting: int,
        workers: Sequence[ServedModel],
        streams: int,
    ) -> None:
        self.counts = counts
        self.waiting = waiting
        self.workers = workers
        self.streams = streams

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        counts = self.counts
        yield CounterMetricFamily(
            "exvad_analyses_accepted", "Analyses that were accepted", counts.get("accepted", 0)
        )
        yield CounterMetricFamily(
            "exvad_analyses_refused", "Analyses refused with 429", counts.get("refused", 0)
        )
        ended = CounterMetricFamily("exvad_analyses_ended", "Analyses that ended", labels=["state"])
        for state in ("done", "failed"):
            ended.add_metric([state], counts.get(state, 0))
        yield ended
        yield SummaryMetricFamily(
            "exvad_analysis_seconds",
            "Work on analyses that ended",
            count_value=int(counts.get("done", 0) + counts.get("failed", 0)),
            sum_value=counts.get("seconds", 0),
        )
        yield GaugeMetricFamily(
            "exvad_analyses_waiting", "Analyses queued or in work", self.waiting
        )
        yield GaugeMetricFamily("exvad_streams", "Live streams that are watched", self.streams)
        yield CounterMetricFamily("exvad_alerts", "Alerts of live streams", counts.get("alerts", 0))
        workers = GaugeMetricFamily(
            "exvad_workers", "Replicas that analyze, by model", labels=["model"]
        )
        for model in sorted({worker.model for worker in self.workers}):
            alike = sum(worker.model == model for worker in self.workers)
            workers.add_metric([model], alike)
        yield workers


def exposition(
    counts: Mapping[str, float], waiting: int, workers: Sequence[ServedModel], streams: int
) -> bytes:
    """Return Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(QueueCollector(counts, waiting, workers, streams))
    return generate_latest(registry)
