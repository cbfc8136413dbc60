"""The server's metrics in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from exvad.serving.schemas.operations import ServedModel


class QueueCollector(Collector):
    """The current state of the queues as metrics.

    Args:
        counts: events counted since the database was created; see `AnalysisQueue.read_counters`.
        num_waiting: number of analyses that are queued or running.
        workers: the workers that analyze videos.
        num_streams: number of streams that are watched.
    """

    def __init__(
        self,
        counts: Mapping[str, float],
        num_waiting: int,
        workers: Sequence[ServedModel],
        num_streams: int,
    ) -> None:
        self.counts = counts
        self.num_waiting = num_waiting
        self.workers = workers
        self.num_streams = num_streams

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
            "exvad_analyses_waiting", "Analyses queued or running", self.num_waiting
        )
        yield GaugeMetricFamily("exvad_streams", "Live streams that are watched", self.num_streams)
        yield CounterMetricFamily("exvad_alerts", "Alerts of live streams", counts.get("alerts", 0))
        replicas = GaugeMetricFamily(
            "exvad_workers", "Replicas that analyze, by model", labels=["model"]
        )
        for model in sorted({worker.model for worker in self.workers}):
            replicas.add_metric([model], sum(worker.model == model for worker in self.workers))
        yield replicas


def render_metrics(
    counts: Mapping[str, float], num_waiting: int, workers: Sequence[ServedModel], num_streams: int
) -> bytes:
    """Return the metrics in the text format of Prometheus; see `QueueCollector`."""
    registry = CollectorRegistry()
    registry.register(QueueCollector(counts, num_waiting, workers, num_streams))
    return generate_latest(registry)
