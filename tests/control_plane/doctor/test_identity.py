"""`manage.py doctor`: whose credentials, which region, which clock, and whether site.toml can be used."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from control_plane.base.config import Config
from control_plane.doctor.findings import State
from tests.control_plane.doctor_context import ENGINEER, IDENTITY, Session, all_of, context, one
from tests.stacks.builders import ACCOUNT, REGION, site

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> dict[str, Any]:
    """AWS's answer, with its own clock so far behind ours."""
    date = format_datetime(NOW - timedelta(seconds=seconds), usegmt=True)
    return {"GetCallerIdentity": {**IDENTITY["GetCallerIdentity"], "ResponseMetadata": {"HTTPHeaders": {"date": date}}}}


def test_the_site_s_own_account_is_ready() -> None:
    assert all_of("credentials", context()) == [("ok", ENGINEER)]


def test_another_account_is_named_with_both_numbers_and_nothing_more_is_looked_at() -> None:
    place = context(own=site(account="444455556666"))
    found = one("credentials", place)
    assert found.state is State.TO_DO
    assert ACCOUNT in found.seen
    assert "444455556666" in found.seen
    assert "AWS_PROFILE" in found.advice
    assert one("quotas", place).state is State.UNKNOWN
    assert {operation for operation, _ in place.session.asked} == {"GetCallerIdentity"}


def test_a_local_aws_where_a_site_toml_is_meant_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566")
    found = one("credentials", context(own=site(account="444455556666")))
    assert "http://localhost:4566" in found.seen
    assert "VAR_DIR" in found.advice


def test_the_root_user_is_warned_of() -> None:
    found = one("credentials", context({"GetCallerIdentity": {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}}))
    assert found.state is State.TO_DO
    assert "root user" in found.seen
    assert "IAM Identity Center" in found.advice


def test_no_credentials_are_one_thing_to_do_and_the_rest_points_there() -> None:
    def none(_: dict[str, Any]) -> Any:
        raise NoCredentialsError

    place = context({"GetCallerIdentity": none})
    assert one("credentials", place).state is State.TO_DO
    assert "AWS_PROFILE" in one("credentials", place).advice
    for name in ("clock", "quotas", "bootstrap"):
        assert one(name, place).state is State.UNKNOWN
    assert "Credentials" in one("quotas", place).advice
    assert len(place.session.asked) == 1


def test_credentials_that_ended_are_said_so() -> None:
    found = one(
        "credentials", context({"GetCallerIdentity": "ExpiredToken: The security token included in the request is expired"})
    )
    assert (found.state, found.seen) == (State.TO_DO, "AWS does not take these credentials: ExpiredToken")


@pytest.mark.parametrize(("ahead", "state"), [(0, "ok"), (-299, "ok"), (299, "ok"), (301, "to do"), (-86_400, "to do")])
def test_the_clock_is_compared_with_aws_s(ahead: float, state: str) -> None:
    ((found, seen),) = all_of("clock", context(at(ahead), now=lambda: NOW))
    assert found == state
    assert str(round(abs(ahead))) in seen


def test_a_clock_so_wrong_that_aws_refuses_is_told_all_the_same() -> None:
    place = context(now=lambda: NOW)
    client = place.client("sts", REGION)
    refusal = {
        "Error": {"Code": "SignatureDoesNotMatch", "Message": "Signature expired"},
        "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(NOW - timedelta(hours=2), usegmt=True)}},
    }

    def refuse(*_: Any) -> None:
        raise client.exceptions.ClientError(refusal, "GetCallerIdentity")

    client._make_api_call = refuse
    found = one("clock", place)
    assert found.state is State.TO_DO
    assert "7200 s ahead" in found.seen


@pytest.mark.parametrize(
    ("answer", "state", "word"),
    [
        ({"Regions": [{"RegionName": REGION, "OptInStatus": "opt-in-not-required"}]}, State.OK, "enabled"),
        ({"Regions": [{"RegionName": REGION, "OptInStatus": "not-opted-in"}]}, State.TO_DO, "not enabled"),
        ("InvalidParameterValue: Invalid region name", State.TO_DO, "there is no region"),
        ("UnauthorizedOperation: no", State.UNKNOWN, "may not call DescribeRegions"),
        ("InternalError: later", State.UNKNOWN, "DescribeRegions was refused: InternalError"),
    ],
)
def test_the_region_has_to_be_there_and_enabled(answer: Any, state: State, word: str) -> None:
    found = one("region", context({"DescribeRegions": answer}))
    assert found.state is state
    assert word in found.seen


def test_a_profile_of_another_region_is_to_be_set_right() -> None:
    answers = {**IDENTITY, "DescribeRegions": {"Regions": [{"RegionName": REGION, "OptInStatus": "opt-in-not-required"}]}}
    found = one("region", context(session=Session(answers, region="eu-central-1")))
    assert found.state is State.TO_DO
    assert found.advice == f"export AWS_REGION={REGION}"


def test_without_a_site_toml_the_first_step_makes_one() -> None:
    found = one("site", context(site=None))
    assert (found.state, found.step) == (State.NOT_YET, 1)


def test_a_site_toml_that_cannot_be_used_is_named_with_its_mistakes() -> None:
    place = context(site=None, site_error="site.toml cannot be used:\n  domain: is missing")
    assert one("site", place).state is State.TO_DO
    assert "domain: is missing" in one("site", place).seen
    assert one("zones", place).advice == "See “Settings of the site”."


def test_on_the_host_the_control_plane_s_own_settings_stand_for_site_toml() -> None:
    found = one("site", context(site=None, settings=Config()))
    assert found.state is State.OK
    assert ACCOUNT in found.seen
