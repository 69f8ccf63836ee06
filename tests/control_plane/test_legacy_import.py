"""`manage.py legacy import`: every oddity of a profile gets a decision, and nothing good is lost beside it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from control_plane.accounts.models import User
from control_plane.audit.models import AuditEvent
from control_plane.config import config
from control_plane.groups.models import Analysis, Grant, Group, Membership
from control_plane.groups.services.analyses import create_analysis, revoke_analysis
from control_plane.groups.services.members import remove_member
from control_plane.groups.slugs import make_slug
from stacks.manifest import names
from stacks.names import check_bucket_patterns
from tests.control_plane.conftest import OPERATOR
from tests.control_plane.legacy_importing import LAB, SAMPLES, Importer, fates, lab, profile, said, state

pytestmark = pytest.mark.django_db

# The samples


def test_the_sample_profiles_are_reported_entry_by_entry(importer: Importer, epi: Analysis) -> None:
    report = importer.run(str(SAMPLES), "--pipeline", "epi-ncap-web=epi")
    assert not report["applied"]
    assert not Group.objects.exists()
    assert not User.objects.exists()
    broken, one, two, odd = report["profiles"]

    assert fates(report["profiles"]) == [
        ("broken", "refused", ""),
        ("lab-one", "taken", ""),
        ("lab-two", "taken", ""),
        ("odd-names", "taken", ""),
    ]
    assert "the template that nobody filled in" in said(broken["affiliates"][0])

    (example,) = one["affiliates"]
    assert fates([example]) == [("examplelab", "taken", "examplelab")]
    assert fates(example["people"]) == [
        ("ada1597000001", "mended", "ada@example.org"),
        ("ben1597000002", "mended", "ben@example.org"),
    ]
    assert "the time that the predecessor put there (2020-08-09)" in said(example["people"][0])
    assert fates(example["analyses"]) == [("epi-ncap-web", "mended", "epi"), ("dlc-ncap-web", "refused", "")]
    assert "--pipeline" in said(example["analyses"][1])
    assert example["copies"] == ["aws s3 sync s3://epi-ncap-web/examplelab/ s3://cohort-epi/examplelab/"]

    north, south = two["affiliates"]
    assert fates([north, south]) == [("northlab", "mended", "northlab"), ("southlab", "taken", "southlab")]
    assert fates(north["people"] + south["people"]) == [
        ("cho", "taken", "cho@example.org"),
        ("dee", "taken", "dee@example.org"),
        ("eli", "taken", "eli@example.org"),
    ]

    fay, carcea = odd["affiliates"]
    assert fates([fay, carcea]) == [
        ("fay_t@example.orggroup", "mended", "fay-t"),
        ("Carcea Lab", "mended", "carcea-lab"),
    ]
    assert fates(fay["people"]) == [("fay_t@example.org", "taken", "fay_t@example.org")]
    assert fates(fay["analyses"]) == [("epi-ncap-web", "mended", "epi"), ("dlc-ncap-web", "refused", "")]
    assert fates(carcea["people"]) == [("gus", "mended", "gus@example.org"), ("gus", "mended", "gus@example.org")]
    assert fates(carcea["analyses"]) == [("carceamonitored", "refused", "")]
    assert report["totals"]["person"] == {"taken": 4, "mended": 4}


def test_the_sample_profiles_are_taken_in_and_a_second_time_changes_nothing(importer: Importer, epi: Analysis) -> None:
    arguments = (str(SAMPLES), "--pipeline", "epi-ncap-web=epi", "--apply", "--access", "keys")
    first = importer.run(*arguments)
    assert first["applied"]
    assert {group.slug: group.name for group in Group.objects.all()} == {
        "examplelab": "examplelab",
        "northlab": "northlab",
        "southlab": "southlab",
        "fay-t": "fay_t@example.orggroup",
        "carcea-lab": "Carcea Lab",
    }
    assert set(Membership.objects.values_list("group__slug", "user__email", "access")) == {
        ("examplelab", "ada@example.org", "keys"),
        ("examplelab", "ben@example.org", "keys"),
        ("northlab", "cho@example.org", "keys"),
        ("southlab", "dee@example.org", "keys"),
        ("southlab", "eli@example.org", "keys"),
        ("fay-t", "fay_t@example.org", "keys"),
        ("carcea-lab", "gus@example.org", "keys"),
    }
    assert set(Grant.objects.values_list("group__slug", "analysis__slug", "level")) == {
        ("examplelab", "epi", "read-write"),
        ("fay-t", "epi", "read-write"),
    }
    # One deployment for each group, whatever was done in it.
    for group in Group.objects.all():
        assert group.stack.deployments.get().pk == first["deployments"][f"group {group.slug}"]
    events = AuditEvent.objects.filter(action="legacy.import").order_by("pk")
    assert [event.target for event in events] == ["profile lab-one", "profile lab-two", "profile odd-names"]
    assert events[0].details["people"] == ["ada@example.org", "ben@example.org"]
    assert events[0].details["refused"] == 1

    before = state()
    second = importer.run(*arguments)
    assert state() == before
    assert second["deployments"] == {}
    assert {kind: set(counts) for kind, counts in second["totals"].items()} == {
        "profile": {"refused", "there already"},
        "group": {"refused", "there already"},
        "person": {"there already"},
        "analysis": {"refused", "there already"},
    }


def test_the_text_says_what_to_do(importer: Importer, capsys: pytest.CaptureFixture[str], epi: Analysis) -> None:
    call_command("legacy", "import", str(SAMPLES))
    text = capsys.readouterr().out
    assert text.startswith("Dry run: nothing was changed.")
    assert "  group Carcea Lab -> carcea-lab: mended\n" in text
    assert "    person ben1597000002 -> ben@example.org: mended\n" in text
    assert "profile: 3 taken, 1 refused" in text


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
        one["name"]
        for found in report["profiles"]
        for affiliate in found["affiliates"]
        for one in affiliate["analyses"]
        if "groups can reach only" in said(one)
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
    monkeypatch.setattr("control_plane.legacy.pipelines.config", lambda: changed)
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
    assert [one["becomes"] for one in again["affiliates"]] == ["north-lab", "north-lab-2", "north-lab"]
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
    assert [one["fate"] for one in twice] == ["mended", "refused"]
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


# People


@pytest.mark.parametrize(
    ("users", "addresses", "expected"),
    [
        (["ada", "ben"], ["ada@example.org", "b@example.org"], ["ada@example.org", "b@example.org"]),
        (["ada", "ben"], ["ada@example.org"], ["ada@example.org", ""]),
        (["ada", "ben", "cho"], ["ben@example.org", "cho@example.org"], ["", "ben@example.org", "cho@example.org"]),
        (["ada", "ben"], "ada@example.org", ["ada@example.org", ""]),
        (["ada", "ben"], "ada@example.org; b@example.org", ["ada@example.org", "b@example.org"]),
        (["ada", "ben"], "['ada@example.org', u'b@example.org']", ["ada@example.org", "b@example.org"]),
        ("ada, ben", ["ada@example.org", "b@example.org"], ["ada@example.org", "b@example.org"]),
        ("ada", "a@example.org", ["a@example.org"]),
        (["ada1597000001"], {"ada": "ada@example.org"}, ["ada@example.org"]),
        (["ada"], {"Ada1597000001": ["ada@example.org", "b@example.org"]}, ["ada@example.org"]),
        ({"ada": "ada@example.org"}, None, ["ada@example.org"]),
        (["ada@example.org1597000001"], None, ["ada@example.org"]),
        (["ada@example.org"], ["not one"], ["ada@example.org"]),
        (["ada"], ["Ada Lovelace <ADA@Example.org>"], ["ada@example.org"]),
        (["ada"], [" mailto:ada@example.org, "], ["ada@example.org"]),
        (["ada"], None, [""]),
        (["ada"], ["ad\u0430@example.org"], [""]),
        (["ada"], [7], [""]),
        (["ada", None, 7, "", {}], ["a@example.org", "b@example.org", "c@example.org", "d@example.org", "e@example.org"], None),
    ],
)
def test_people_are_known_by_their_addresses(importer: Importer, users: Any, addresses: Any, expected: list[str] | None) -> None:
    (one,) = importer.one(profile(lab(UserNames=users, ContactEmail=addresses)))["affiliates"]
    assert [person["becomes"] for person in one["people"]] == (expected or ["a@example.org", "", "c@example.org", "", ""])
    for person in one["people"]:
        assert (person["fate"] == "refused") == (person["becomes"] == "")
        assert person["becomes"] or person["notes"]


def test_a_user_without_an_address_is_told_how_to_get_one(importer: Importer, tmp_path: Path) -> None:
    document = profile(
        lab(UserNames=["ada1597000001", "ben"], ContactEmail=[]), lab(AffiliateName="other", UserNames=["ben"], ContactEmail=None)
    )
    first, second = importer.one(document)["affiliates"]
    assert first["fate"] == second["fate"] == "refused"
    assert "--emails file.csv (username,email)" in said(first["people"][0])
    book = tmp_path / "book.csv"
    book.write_text("username,email,affiliate\nada,ada@example.org,\nben,b1@example.org,\nben,b2@example.org,Other\n")
    first, second = importer.one(document, "--emails", str(book))["affiliates"]
    assert [person["becomes"] for person in first["people"] + second["people"]] == [
        "ada@example.org",
        "b1@example.org",
        "b2@example.org",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"sep=;\r\nusername;email;affiliate\r\nada;ada@example.org;Labor M\xfcller\r\n",
        "\ufeffUsername\tEmail\tAffiliate\nada\tada@example.org\tLabor Müller\n".encode(),
    ],
)
def test_addresses_are_read_from_whatever_a_spreadsheet_wrote(importer: Importer, tmp_path: Path, content: bytes) -> None:
    book = tmp_path / "book.csv"
    book.write_bytes(content)
    document = profile(lab(AffiliateName="Labor Müller", UserNames=["ada"], ContactEmail=[]))
    (one,) = importer.one(document, "--emails", str(book))["affiliates"]
    assert [person["becomes"] for person in one["people"]] == ["ada@example.org"]


@pytest.mark.parametrize(
    "content", [b"name,mail\nada,ada@example.org\n", b"username,email\nada,nothing\n", b"\xff\xfe\xfd", b"", None]
)
def test_a_file_of_addresses_that_makes_no_sense_is_refused_whole(
    importer: Importer, tmp_path: Path, content: bytes | None
) -> None:
    book = tmp_path / "book.csv"
    if content is not None:
        book.write_bytes(content)
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("legacy", "import", importer.write(profile(LAB)), "--emails", str(book), "--apply")
    assert not Group.objects.exists()


def test_an_address_of_nobody_is_reported(importer: Importer) -> None:
    (one,) = importer.one(profile(lab(UserNames=["ada"], ContactEmail=["ada@example.org", "pi@example.org"])))["affiliates"]
    assert fates(one["addresses"]) == [("pi@example.org", "refused", "")]
    assert "manage.py member add" in said(one["addresses"][0])


def test_two_names_with_one_address_are_one_person(importer: Importer) -> None:
    document = profile(lab(UserNames=["ada", "ada1597000001"], ContactEmail=["ada@example.org", "ADA@example.org"]))
    (one,) = importer.one(document, "--apply")["affiliates"]
    assert "they are one person" in said(one["people"][1])
    assert Membership.objects.get().user.email == "ada@example.org"


def test_what_was_taken_away_since_is_not_given_again(importer: Importer, epi: Analysis) -> None:
    document = profile(lab(Pipelines=["cohort-epi"]))
    importer.one(document, "--apply")
    group = Group.objects.get()
    remove_member(group=group, user=User.objects.get(), actor=OPERATOR)
    revoke_analysis(analysis=epi, group=group, actor=OPERATOR)
    (one,) = importer.one(document, "--apply")["affiliates"]
    assert one["people"][0]["fate"] == one["analyses"][0]["fate"] == "refused"
    assert "manage.py member add oldlab ada@example.org" in said(one["people"][0])
    assert not Membership.objects.wanted().exists()


def test_an_account_that_is_not_active_keeps_nobody_else_out(importer: Importer, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    (one,) = importer.one(profile(lab(UserNames=["ada", "ben"], ContactEmail=["ada@example.org", "b@example.org"])), "--apply")[
        "affiliates"
    ]
    assert [person["fate"] for person in one["people"]] == ["refused", "taken"]
    assert Membership.objects.get().user.email == "b@example.org"


# Pipelines


@pytest.mark.parametrize(
    "pipelines",
    [
        ["cohort-epi", "cohort-epi"],
        "['cohort-epi','cohort-dlc']",
        "cohort-epi, cohort-dlc",
        "cohort-epi cohort-dlc",
        ["cohort-epi,cohort-dlc"],
        "cohort-epi",
        '["cohort-epi"]',
        [" s3://Cohort-EPI/ "],
    ],
)
def test_pipelines_become_the_analyses_with_these_buckets(importer: Importer, epi: Analysis, pipelines: Any) -> None:
    create_analysis(slug="dlc", bucket="cohort-dlc", actor=OPERATOR)
    (one,) = importer.one(profile(lab(Pipelines=pipelines)), "--apply")["affiliates"]
    assert {entry["becomes"] for entry in one["analyses"]} <= {"epi", "dlc"}
    assert {entry["fate"] for entry in one["analyses"]} <= {"taken", "mended"}
    expected = {"epi", "dlc"} if "dlc" in str(pipelines) else {"epi"}
    assert set(Grant.objects.values_list("analysis__slug", flat=True)) == expected


@pytest.mark.parametrize("pipelines", [[None, 3.5, {}, [], "", "no bucket at all!", "x" * 70], {"a": 1}, 3.5, True])
def test_a_pipeline_that_is_none_is_refused_alone(importer: Importer, pipelines: Any) -> None:
    (one,) = importer.one(profile(lab(Pipelines=pipelines)), "--apply", "--create-analyses")["affiliates"]
    assert {entry["fate"] for entry in one["analyses"]} == {"refused"}
    assert one["people"][0]["fate"] == "taken"


def test_unknown_analyses_are_made_if_asked_for_and_allowed(importer: Importer) -> None:
    document = profile(lab(Pipelines=["cohort-new", "epi-ncap-web"]))
    (dry,) = importer.one(document)["affiliates"]
    assert "manage.py analysis create cohort-new --bucket cohort-new" in said(dry["analyses"][0])
    (one,) = importer.one(document, "--apply", "--create-analyses")["affiliates"]
    assert fates(one["analyses"]) == [("cohort-new", "mended", "cohort-new"), ("epi-ncap-web", "refused", "")]
    assert Analysis.objects.get().bucket == "cohort-new"
    assert Grant.objects.get().group.slug == "oldlab"
    (again,) = importer.one(document, "--apply", "--create-analyses")["affiliates"]
    assert again["analyses"][0]["fate"] == "there already"


def test_the_copying_of_data_is_given_as_commands(importer: Importer, epi: Analysis) -> None:
    document = profile(
        lab(AffiliateName="Old Lab", Pipelines=["cohort-epi"]),
        lab(AffiliateName="oldlab", Pipelines=["cohort-epi"]),
        Lambda={"LambdaConfig": {"REGION": "eu-west-1"}},
    )
    first, second = importer.one(document)["affiliates"]
    command = "aws s3 sync 's3://cohort-epi/Old Lab/' s3://cohort-epi/old-lab/ --source-region eu-west-1 --region us-east-1"
    assert first["copies"] == [command]
    assert second["copies"] == []
