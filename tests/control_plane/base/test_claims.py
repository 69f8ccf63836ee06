"""Rows that are due: whoever moves the date first starts them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from control_plane.access.limits.models import Reading
from control_plane.base.claims import claim_due, claim_or_create

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def claim(start, **changes):
    # Due whatever its date, so that nothing but the move decides who has it.
    return claim_due(Reading.objects.order_by("pk"), "asked_at", start, limit=10, until=timezone.now(), **changes)


@pytest.fixture
def readings():
    return [Reading.objects.create(account=str(number), asked_at=NOW - timedelta(hours=1)) for number in range(3)]


def test_a_worker_starts_nothing_that_another_took_since_it_looked(readings):
    by_one: list[int] = []
    by_other: list[int] = []

    def start(pk):
        by_one.append(pk)
        if not by_other:
            claim(by_other.append)

    assert claim(start) == 1
    # The first is taken by both: its date was moved and found again, which is another turn.
    assert (by_one, by_other) == ([readings[0].pk], [reading.pk for reading in readings])


def test_what_cannot_be_started_stays_due(readings):
    def start(pk):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        claim(start)
    assert set(Reading.objects.values_list("asked_at", flat=True)) == {NOW - timedelta(hours=1)}


def test_no_more_are_started_than_asked_for_each_with_its_fields(readings):
    started = []
    due = Reading.objects.order_by("pk")
    claimed = claim_due(due, "asked_at", lambda *row: started.append(row), fields=("account",), limit=2, until=NOW, error="")
    assert (claimed, started) == (2, [(readings[0].pk, "0"), (readings[1].pk, "1")])


def test_a_row_is_made_once_and_claimed_again_only_when_it_is_due():
    due = Reading.objects.filter(asked_at__lt=NOW)
    assert claim_or_create(due, "asked_at", lookup={"account": "1"}, until=NOW)
    assert not claim_or_create(due, "asked_at", lookup={"account": "1"}, until=NOW)
    Reading.objects.update(asked_at=NOW - timedelta(seconds=1))
    assert claim_or_create(due, "asked_at", lookup={"account": "1"}, until=NOW)
    assert Reading.objects.get().asked_at == NOW
