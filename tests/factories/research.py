"""What analyses have: pages in the catalogue, and jobs."""

from typing import Any

from factory.declarations import LazyAttribute, Sequence, SubFactory
from factory.django import DjangoModelFactory

from control_plane.research.catalogue.models import Entry
from control_plane.research.jobs.models import Job
from tests.factories.groups import AnalysisFactory, GroupFactory
from tests.factories.people import UserFactory


class EntryFactory(DjangoModelFactory[Entry]):
    """An analysis's page in the catalogue, with nothing on it but what is given."""

    class Meta:
        model = Entry

    analysis: Any = SubFactory(AnalysisFactory)


class JobFactory(DjangoModelFactory[Job]):
    """A submitted job of one data set, as a row alone: S3 holds nothing of it."""

    class Meta:
        model = Job

    group: Any = SubFactory(GroupFactory)
    analysis: Any = SubFactory(AnalysisFactory)
    submitted_by = SubFactory(UserFactory)
    timestamp = Sequence(lambda number: 1_700_000_000 + number)
    token = Sequence(lambda number: f"token {number}")
    submission_key: Any = LazyAttribute(lambda job: f"{job.group.slug}/submissions/submit.json")
    inputs: Any = LazyAttribute(lambda job: [f"{job.group.slug}/inputs/a.csv"])
    config_key: Any = LazyAttribute(lambda job: f"{job.group.slug}/configs/first.yaml")
