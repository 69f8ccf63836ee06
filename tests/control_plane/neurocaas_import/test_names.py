"""`manage.py legacy import`: what becomes of groups' names, and which slugs they get."""

import json
import re
from typing import Any

import pytest
from django.core.management import call_command

from control_plane.access.groups.models import Analysis, Group
from control_plane.access.groups.slugs import make_slug
from control_plane.base.config import config
from stacks import names
from stacks.names import check_bucket_patterns
from tests.control_plane.legacy_profiles import SAMPLES, Importer, lab, profile, said

pytestmark = pytest.mark.django_db

# Names and slugs


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("northlab", "northlab"),
        ("Carcea Lab", "carcea-lab"),
        ("fay_t@example.orggroup", "fay-t"),
        ("fay_t@gmail.com", "fay-t"),
        ("Fay’s Lab <fay_t@gmail.com>", "fay-s-lab"),
        ("admin@gmail.com", "admin-lab"),
        ("  Müller & Söhne  ", "muller-sohne"),
        ("Mu\u0308ller", "muller"),
        ("a--b__c..d", "a-b-c-d"),
        ("xn--lab", "xn-lab"),
        ("x", "x-lab"),
        ("Admin", "admin-lab"),
        ("n" * 40, "n" * 32),
        ("n" * 31 + " lab", "n" * 31),
        ("日本のラボ", ""),
        ("---", ""),
    ],
)
def test_a_name_makes_a_slug(name: str, slug: str) -> None:
    assert make_slug(name) == slug
    if slug:
        names.check_slug(slug)


def test_the_dry_run_begins_with_the_patterns_that_pipelines_need(importer: Importer, epi: Analysis) -> None:
    report = importer.run(str(SAMPLES), "--create-analyses")
    remark = report["remarks"][0]
    refused = {
        analyse["name"]
        for found in report["profiles"]
        for affiliate in found["affiliates"]
        for analyse in affiliate["analyses"]
        if "groups can reach only" in said(analyse)
    }
    assert "pipelines are refused because groups can reach only cohort-* and other-*" in remark
    # As it is to be written, in both places.
    wanted = ["cohort-*", "other-*", *sorted(refused)]
    assert f"bucket_patterns = {json.dumps(wanted)}" in remark
    assert f'BUCKET_PATTERNS="{" ".join(wanted)}"' in remark
    check_bucket_patterns(wanted)
    importer.capsys.readouterr()
    call_command("legacy", "import", str(SAMPLES), "--create-analyses")
    head = importer.capsys.readouterr().out.splitlines()[:4]
    assert any("pipelines are refused" in line for line in head)


def test_with_those_patterns_the_same_profiles_are_taken(
    importer: Importer, monkeypatch: pytest.MonkeyPatch, epi: Analysis
) -> None:
    wanted = re.findall(r'BUCKET_PATTERNS="([^"]+)"', importer.run(str(SAMPLES), "--create-analyses")["remarks"][0])[0].split()
    changed = config().model_copy(update={"bucket_patterns": tuple(wanted)})
    monkeypatch.setattr("control_plane.neurocaas_import.pipelines.config", lambda: changed)
    report = importer.run(str(SAMPLES), "--create-analyses")
    assert report["remarks"] == []
    assert "refused" not in report["totals"]["analysis"]


def test_a_group_called_by_an_address_gets_no_provider_into_its_slug(importer: Importer) -> None:
    (one,) = importer.one(profile(lab(AffiliateName="fay_t@gmail.comgroup")), "--apply")["affiliates"]
    assert one["becomes"] == "fay-t"
    assert "cannot be changed later" in said(one)
    assert "--group=fay_t@gmail.comgroup=slug" in said(one)
    assert Group.objects.get().name == "fay_t@gmail.comgroup"


def test_two_names_with_one_slug_stay_two_groups(importer: Importer) -> None:
    document = profile(lab(AffiliateName="north lab"), lab(AffiliateName="North_Lab"), lab(AffiliateName="NORTH  LAB"))
    report = importer.one(document, "--apply")
    first, second, same = report["affiliates"]
    assert (first["becomes"], second["becomes"], same["becomes"]) == ("north-lab", "north-lab-2", "north-lab")
    assert "gets a number" in said(second)
    assert "it is one group" in said(same)
    assert set(Group.objects.values_list("slug", "name")) == {("north-lab", "north lab"), ("north-lab-2", "North_Lab")}
    again = importer.one(document, "--apply")
    assert [affiliate["becomes"] for affiliate in again["affiliates"]] == ["north-lab", "north-lab-2", "north-lab"]
    assert Group.objects.count() == 2


def test_a_slug_of_another_group_is_a_persons_decision(importer: Importer, group: Group) -> None:
    document = profile(lab(AffiliateName="example_lab"))
    (refused,) = importer.one(document, "--apply")["affiliates"]
    assert refused["fate"] == "refused"
    assert "--group=example_lab=example-lab" in said(refused)
    assert refused["people"][0]["fate"] == "refused"
    assert not group.memberships.exists()

    (other,) = importer.one(document, "--apply", "--group", "example_lab=elsewhere")["affiliates"]
    assert other["becomes"] == "elsewhere"
    # Once it is there it is known by its name.
    assert importer.one(document, "--apply")["affiliates"][0]["fate"] == "there already"
    (joined,) = importer.one(profile(lab(AffiliateName="example-lab")), "--apply", "--group", "example-lab=example-lab")[
        "affiliates"
    ]
    assert joined["people"][0]["fate"] == "taken"
    assert group.memberships.get().user.email == "ada@example.org"


def test_a_name_that_looks_like_a_group_s_is_a_persons_decision(importer: Importer, group: Group) -> None:
    (refused,) = importer.one(profile(lab(AffiliateName="Examp1e Lab")), "--apply")["affiliates"]
    assert refused["fate"] == "refused"
    assert "looks like that of the group 'example-lab'" in said(refused)
    assert "--group='Examp1e Lab=example-lab'" in said(refused)
    twice = importer.one(profile(lab(AffiliateName="vik lab"), lab(AffiliateName="νik lab")))["affiliates"]
    assert [row["fate"] for row in twice] == ["mended", "refused"]
    assert Group.objects.count() == 1


def test_a_group_of_this_name_is_the_group(importer: Importer, group: Group) -> None:
    (one,) = importer.one(profile(lab(AffiliateName="EXAMPLE  lab")), "--apply")["affiliates"]
    assert (one["fate"], one["becomes"]) == ("there already", "example-lab")
    assert group.memberships.get().user.email == "ada@example.org"


@pytest.mark.parametrize("name", ["日本のラボ", "n\u043erthlab", "---"])
def test_a_name_without_a_slug_can_be_given_one(importer: Importer, name: str) -> None:
    refused = importer.one(profile(lab(AffiliateName=name)), "--apply")["affiliates"][0]
    assert refused["fate"] == "refused"
    assert "--group" in said(refused)
    taken = importer.one(profile(lab(AffiliateName=name)), "--apply", f"--group={name}=far-lab")["affiliates"][0]
    assert taken["becomes"] == "far-lab"
    assert importer.one(profile(lab(AffiliateName=name)), f"--group={name}=far-lab")["affiliates"][0]["fate"] == "there already"


@pytest.mark.parametrize("name", [None, True, 3.5, [], {}, "", "  ", "\u200b", "\ud800"])
def test_a_name_that_is_none_is_refused_with_what_is_in_it(importer: Importer, name: Any) -> None:
    bad, good = importer.one(profile(lab(AffiliateName=name), lab()), "--apply")["affiliates"]
    assert bad["fate"] == "refused"
    assert bad["people"][0]["fate"] == "refused"
    assert good["fate"] == "taken"
    assert Group.objects.get().slug == "oldlab"


def test_a_name_that_cannot_be_seen_in_full_is_mended(importer: Importer) -> None:
    (one,) = importer.one(profile(lab(AffiliateName=" Old\u202e\u0000\ud800 \t Lab " + "x" * 200)), "--apply")["affiliates"]
    assert one["fate"] == "mended"
    assert Group.objects.get().name == "Old Lab " + "x" * 112


def test_a_number_as_a_name_is_its_digits(importer: Importer) -> None:
    (one,) = importer.one(profile(lab(AffiliateName=2020)), "--apply")["affiliates"]
    assert (one["fate"], one["becomes"]) == ("mended", "2020")
