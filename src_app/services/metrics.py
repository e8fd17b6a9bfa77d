"""Figures for Prometheus, counted in the database: the same from every process."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from src_app.db.census import Census, count
from src_app.db.store import Store


class _Collector(Collector):
    """Gives what was counted as metrics."""

    def __init__(self, census: Census) -> None:
        self._census = census

    def collect(self) -> Iterator[Metric]:
        """Yield each family."""
        tables = {
            "apps": ("Apps by status", ["status"], self._census.apps),
            "operations": (
                "Operations by kind and status",
                ["kind", "status"],
                self._census.operations,
            ),
            "backups": ("Backups by status", ["status"], self._census.backups),
        }
        for name, (text, labels, counts) in tables.items():
            family = GaugeMetricFamily(f"app_manager_{name}", text, labels=labels)
            for key, number in counts.items():
                family.add_metric(list(key), number)
            yield family
        size = GaugeMetricFamily("app_manager_backup_bytes", "Size of all backups")
        size.add_metric([], self._census.backup_bytes)
        yield size


def rendered(store: Store) -> str:
    """Return all figures in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Collector(store.read(count)))
    return generate_latest(registry).decode()
