"""The metrics: what Prometheus reads, by name, type, help and labels; and what is put to CloudWatch."""

import re
from collections import defaultdict

import boto3
from django.test import Client

from tests.record.documents import Record
from tests.record.running import Site, settings

TOKEN = "a-token-for-the-record"
SAMPLE = re.compile(r"(?P<name>[a-z_]+)(\{(?P<labels>.*)\})? ")
LABEL = re.compile(r'([a-z_]+)="([^"]*)"')


def metrics(site: Site) -> Record:
    """Read both, on a site where a story has run."""
    with settings(METRICS_TOKEN=TOKEN):
        answer = Client().get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return {"metrics.txt": f"{exposed(answer.content.decode())}\n# CloudWatch\n{put()}\n"}


def exposed(text: str) -> str:
    """The exposition without its values: each label with what it was seen to be."""
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    lines = []
    for line in text.splitlines():
        if line.startswith("#"):
            lines.append(line)
        elif found := SAMPLE.match(line):
            labels = seen[found["name"]]
            for name, value in LABEL.findall(found["labels"] or ""):
                labels[name].add(value)
    samples = [_sample(name, labels) for name, labels in sorted(seen.items())]
    return "\n".join(["# Prometheus", *lines, "", *samples]) + "\n"


def put() -> str:
    """What CloudWatch was given; in moto, S3's own metrics lie beside it."""
    found = boto3.client("cloudwatch", region_name="us-east-1").list_metrics()["Metrics"]
    return "\n".join(
        sorted(
            f"{item['Namespace']} {item['MetricName']} {item['Dimensions']}"
            for item in found
            if not item["Namespace"].startswith("AWS/")
        )
    )


def _sample(name: str, labels: dict[str, set[str]]) -> str:
    return " ".join([name, *(f"{label}={'|'.join(sorted(values))}" for label, values in sorted(labels.items()))])
