"""Anything at all in the place of a profile: nothing raises, and each is reported."""

import json
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_plane.access.groups.models import Access
from control_plane.neurocaas_import.applying import apply_plan
from control_plane.neurocaas_import.entries import Entry
from control_plane.neurocaas_import.planning import make_plan
from control_plane.neurocaas_import.reading import Profile, parse
from control_plane.neurocaas_import.reporting import as_dict, as_text, rows
from control_plane.neurocaas_import.targets import ImportChoices
from tests.actors import OPERATOR
from tests.control_plane.legacy_profiles import lab, profile, state

pytestmark = pytest.mark.django_db

# Anything at all

KEYS = [
    "UXData",
    "Affiliates",
    "AffiliateName",
    "UserNames",
    "ContactEmail",
    "Pipelines",
    "KeySerialNumber",
    "Lambda",
    "LambdaConfig",
    "REGION",
]
WORDS = ["ada", "ada1597000001", "ada@example.org", "['a','b']", "cohort-epi", "list", "Old Lab", "\ud800", "\0", "éü", "日本"]
texts = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_categories=()), max_size=20))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(KEYS), texts), inner, max_size=4)
    ),
    max_leaves=12,
)
affiliates = st.fixed_dictionaries(
    {},
    optional={"AffiliateName": values, "UserNames": values, "ContactEmail": values, "Pipelines": values, "KeySerialNumber": values},
)
documents = st.one_of(values, st.lists(st.one_of(affiliates, values), max_size=4).map(lambda some: profile(*some)))
anything = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def reported(data: bytes, *, apply: bool) -> Any:
    """The report on a file with this content, which must go through every way out."""
    found = Profile("some/path", "stack", Entry("profile", "stack"))
    found.document = parse(data, found.entry)
    plan = make_plan([found], ImportChoices(creates_analyses=True))
    done = apply_plan(plan, access=Access.FEDERATED, actor=OPERATOR, report=lambda _: None) if apply else None
    as_text(plan, done).encode()
    report = as_dict(plan, done)
    json.dumps(report, ensure_ascii=False, allow_nan=False).encode()
    for row in rows(plan):
        assert row[4] in ("taken", "mended", "there already", "refused")
        assert row[4] != "refused" or row[6], row
    return report


@settings(anything, max_examples=300)
@given(documents)
def test_any_document_is_reported(document: Any) -> None:
    reported(json.dumps(document).encode(), apply=False)


@settings(anything, max_examples=40)
@given(st.lists(affiliates, max_size=3).map(lambda some: profile(*some)))
def test_any_document_can_be_applied_and_then_is_there(document: Any) -> None:
    with transaction.atomic():
        data = json.dumps(document).encode()
        reported(data, apply=True)
        before = state()
        second = reported(data, apply=True)
        assert state() == before
        assert not set(second["totals"].get("person", {})) - {"there already", "refused"}
        assert not set(second["totals"].get("group", {})) - {"there already", "refused"}
        transaction.set_rollback(True)


@settings(anything, max_examples=200)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_any_bytes_are_reported(data: bytes) -> None:
    reported(data, apply=False)


@settings(anything, max_examples=100)
@given(texts)
def test_a_good_affiliate_is_taken_beside_any_name(name: str) -> None:
    report = reported(json.dumps(profile(lab(AffiliateName=name), lab(AffiliateName="a good lab"))).encode(), apply=False)
    assert report["profiles"][0]["affiliates"][1]["people"][0]["becomes"] == "ada@example.org"
