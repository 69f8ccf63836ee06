"""Prometheus metrics, computed for every scrape: nothing is kept in a process."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from control_plane.operation.health.figures import Figures, gather


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_DatabaseCollector())
    return generate_latest(registry)


class _DatabaseCollector(Collector):
    """Collector that queries the database once per scrape."""

    def collect(self) -> Iterator[Metric]:
        figures = gather()
        yield from _gauges(figures)
        yield from _quotas(figures)
        stages = SummaryMetricFamily("cohort_stage_seconds", "Time that deployments spent in each stage.", labels=["stage"])
        for stage in figures.stages:
            stages.add_metric([stage.label], count_value=stage.count, sum_value=stage.seconds)
        yield stages
        ended = CounterMetricFamily("cohort_deployments_ended", "Deployments that ended, by how.", labels=["outcome"])
        for outcome in figures.outcomes:
            ended.add_metric([outcome.label], outcome.count)
        yield ended

    def describe(self) -> Iterator[Metric]:
        # Without this, registering would collect, and so query the database.
        return iter(())


def _quotas(figures: Figures) -> Iterator[Metric]:
    labels = ["account", "region", "quota"]
    used = GaugeMetricFamily("cohort_quota_used", "What the account uses of a quota, with all that is asked for.", labels=labels)
    limit = GaugeMetricFamily("cohort_quota_limit", "The account's quotas, where they are known.", labels=labels)
    for quota in figures.quotas:
        values = [quota.account, quota.region, quota.name]
        used.add_metric(values, quota.wanted)
        if quota.limit is not None:
            limit.add_metric(values, quota.limit)
    yield from (used, limit)


def _gauges(figures: Figures) -> Iterator[Metric]:
    for name, help_text, value in (
        ("deployments_waiting", "Deployments that wait for a worker.", figures.waiting),
        ("deployment_oldest_wait_seconds", "How long the oldest of them waits; 0 if none does.", figures.oldest_wait),
        ("deployments_awaiting_approval", "Deployments that wait for an administrator's approval.", figures.awaiting_approval),
        ("deployments_running", "Deployments under way.", figures.running),
        ("stacks_out_of_step", "Stacks that AWS was not yet seen to hold as wanted.", figures.out_of_step),
        ("stacks_drifted", "Stacks that were changed or removed outside Cohort.", figures.drifted),
        ("worker_last_seen_seconds", "Since any worker was last seen; +Inf if none ever was.", figures.worker_seen),
        ("backup_age_seconds", "Since the last backup that succeeded began; +Inf if none is known.", figures.backup_age),
        ("notices_unsent", "E-mails and webhook calls that nobody took yet, given up or not.", figures.notices_unsent),
    ):
        yield GaugeMetricFamily(f"cohort_{name}", help_text, value=value)
