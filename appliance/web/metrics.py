"""The snapshot as Prometheus metrics. Counters begin anew with a new journal, as Prometheus expects of a restart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric, StateSetMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client.registry import Collector

from appliance.status.snapshot import Snapshot
from appliance.web.views import MEANING, hour

__all__ = ["CONTENT_TYPE", "expose"]

HEADLINES = tuple(headline for headline in MEANING if headline != "No connection")


def expose(snapshot: Snapshot, headline: str, now: float) -> bytes:
    """The text format. headline : the one state of views.glance; now : Unix seconds"""
    registry = CollectorRegistry()
    registry.register(_Once(_metrics(snapshot, headline, now)))
    return generate_latest(registry)


class _Once(Collector):
    """What is collected is known beforehand."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _metrics(snapshot: Snapshot, headline: str, now: float) -> Iterator[Metric]:
    yield StateSetMetricFamily("anonbox_state", "What the page says", {name: name == headline for name in HEADLINES})
    if not snapshot.written_at:
        return  # a box that has not reported has no numbers
    yield GaugeMetricFamily("anonbox_report_age_seconds", "Time since the box last reported", now - snapshot.written_at)
    yield GaugeMetricFamily("anonbox_start_time_seconds", "When the box was started, Unix time", snapshot.started_at)
    yield CounterMetricFamily("anonbox_pictures_published", "Pictures published", snapshot.done_ever)
    yield CounterMetricFamily("anonbox_pictures_refused", "Pictures put into quarantine", snapshot.refused_ever)
    yield GaugeMetricFamily("anonbox_pictures_waiting", "Pictures in the drop folder", snapshot.waiting)
    yield GaugeMetricFamily("anonbox_pictures_working", "Pictures in work", snapshot.working)
    yield GaugeMetricFamily("anonbox_pictures_left", "Things that stay in the drop folder", sum(snapshot.left.values()))
    yield GaugeMetricFamily("anonbox_free_bytes", "Free space of the results and the state, the smaller", snapshot.free_bytes)
    yield from _last_minute(snapshot)
    if snapshot.clock_trusted is not None:
        yield GaugeMetricFamily("anonbox_clock_trusted", "Whether a time server keeps the clock", int(snapshot.clock_trusted))
    yield from _device(snapshot)


def _last_minute(snapshot: Snapshot) -> Iterator[Metric]:
    """Of the newest minute that had pictures: the present one has hardly begun."""
    took = hour(snapshot.hour).took if snapshot.hour else None
    if took:
        metric = GaugeMetricFamily("anonbox_picture_seconds", "What a picture took, in the newest minute with pictures", labels=["of"])
        for name, value in zip(("median", "slowest"), took):
            metric.add_metric([name], value / 1000)
        yield metric


def _device(snapshot: Snapshot) -> Iterator[Metric]:
    engine, health = snapshot.engine, snapshot.health
    about = {"version": snapshot.version}
    if engine:
        about |= {"engine": engine.name, "precision": engine.precision, "model": engine.model, "device": engine.device}
    yield InfoMetricFamily("anonbox", "This box", about)
    if health is None:
        return
    temperature = GaugeMetricFamily("anonbox_temperature_celsius", "Temperatures", labels=["zone"])
    for zone, degrees in health.temperatures.items():
        temperature.add_metric([zone], degrees)
    power = GaugeMetricFamily("anonbox_power_watts", "Power by rail", labels=["rail"])
    for rail, watts in health.power.items():
        power.add_metric([rail], watts)
    yield temperature
    yield power
    yield GaugeMetricFamily("anonbox_throttled", "Whether the machine slows itself down", int(bool(health.throttling)))
    if health.gpu_load is not None:
        yield GaugeMetricFamily("anonbox_gpu_load_percent", "GPU load", health.gpu_load)
