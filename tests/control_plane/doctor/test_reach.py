"""`manage.py doctor`: DNS, the certificate, the site's own word, and the origins of the analysis buckets."""

import json
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_plane.doctor.check_context import CheckContext
from control_plane.doctor.findings import State
from tests.control_plane.doctor_context import ABSENT, Answer, context, one, stack, stacks
from tests.stacks.builders import ACCOUNT, REGION, site

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ADDRESS, BALANCER = "192.0.2.10", "cohort-1.us-east-1.elb.amazonaws.com"
DEPLOYED: dict[str, Answer] = {"DescribeStacks": stacks(Cohort_Backup=stack(HostAddress=ADDRESS), Cohort_Host=stack(Version="a"))}
BALANCED: dict[str, Answer] = {"DescribeStacks": stacks(Cohort_Host=stack(NetworkBalancerName0=BALANCER))}


def resolving(**known: list[str]) -> Any:
    def resolve(host: str) -> frozenset[str]:
        if host.split(".")[0] not in known:
            raise OSError("Name or service not known")
        return frozenset(known[host.split(".")[0]])

    return resolve


@pytest.mark.parametrize(
    ("known", "state", "word"),
    [
        ({"cohort": [ADDRESS]}, State.OK, ADDRESS),
        ({"cohort": ["198.51.100.7"]}, State.TO_DO, "leads to 198.51.100.7"),
        ({"cohort": [ADDRESS, "2001:db8::1"]}, State.TO_DO, "2001:db8::1"),
        ({}, State.NOT_YET, "not in DNS"),
    ],
)
def test_the_domain_has_to_lead_to_the_host_s_address(known: dict[str, list[str]], state: State, word: str) -> None:
    found = one("dns", context(DEPLOYED, resolve=resolving(**known)))
    assert found.state is state
    assert word in found.seen
    if state is not State.OK:
        assert "A" in found.advice
        assert ADDRESS in found.advice


def test_with_a_load_balancer_the_domain_has_to_lead_where_that_does() -> None:
    own = site(tls="acm")
    there = resolving(**{"cohort": ["203.0.113.1"], "cohort-1": ["203.0.113.1", "203.0.113.2"]})
    assert one("dns", context(BALANCED, own=own, resolve=there)).state is State.OK
    away = resolving(**{"cohort": ["203.0.113.9"], "cohort-1": ["203.0.113.1"]})
    found = one("dns", context(BALANCED, own=own, resolve=away))
    assert found.state is State.TO_DO
    assert f"CNAME {BALANCER}" in found.advice


def test_before_there_is_an_address_dns_has_to_wait() -> None:
    assert one("dns", context({"DescribeStacks": ABSENT})).step == 3
    assert one("dns", context({"DescribeStacks": ABSENT}, own=site(tls="acm"))).step == 3


def showing(answer: datetime | Exception) -> CheckContext:
    def certificate_end(_: str) -> datetime:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return context(DEPLOYED, certificate_end=certificate_end, now=lambda: NOW)


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("no")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("answer", "state", "word"),
    [
        (NOW + timedelta(days=60), State.OK, "60 days"),
        (NOW + timedelta(days=13, hours=1), State.TO_DO, "ends in 13 days"),
        (untrusted(), State.TO_DO, "self-signed certificate"),
        (ConnectionRefusedError("Connection refused"), State.NOT_YET, "Connection refused"),
    ],
)
def test_the_certificate_is_verified_as_browsers_do(answer: datetime | Exception, state: State, word: str) -> None:
    found = one("certificate", showing(answer))
    assert found.state is state
    assert word in found.seen


ARN = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"


@pytest.mark.parametrize(
    ("certificate", "state"),
    [
        ({"Status": "ISSUED", "DomainName": "cohort.example.org"}, State.OK),
        ({"Status": "ISSUED", "DomainName": "example.org", "SubjectAlternativeNames": ["example.org", "*.example.org"]}, State.OK),
        ({"Status": "ISSUED", "DomainName": "other.example.org"}, State.TO_DO),
        ({"Status": "PENDING_VALIDATION", "DomainName": "cohort.example.org"}, State.TO_DO),
    ],
)
def test_a_certificate_of_one_s_own_has_to_be_issued_for_the_domain(certificate: dict[str, Any], state: State) -> None:
    own = site(tls="acm", certificate_arn=ARN)
    assert one("own-certificate", context({"DescribeCertificate": {"Certificate": certificate}}, own=own)).state is state


def answering(status: int, body: Any) -> CheckContext:
    return context(DEPLOYED, fetch=lambda _: (status, json.dumps(body).encode()))


def test_the_site_says_itself_whether_it_is_ready() -> None:
    assert one("ready", answering(200, {"ready": True, "checks": [{"name": "worker", "ok": True}]})).state is State.OK
    failed = {"name": "worker", "ok": False, "problem": "No worker was seen.", "advice": "Start it."}
    found = one("ready", answering(503, {"ready": False, "checks": [failed]}))
    assert (found.state, found.advice) == (State.TO_DO, "Start it.")
    assert "No worker was seen." in found.seen


def test_a_page_of_somebody_else_s_is_not_taken_for_the_site() -> None:
    found = one("ready", context(DEPLOYED, fetch=lambda _: (200, b"<html>parked</html>")))
    assert (found.state, found.step) == (State.NOT_YET, 4)


def test_before_there_is_a_host_neither_certificate_nor_site_is_asked() -> None:
    place = context(
        {"DescribeStacks": ABSENT}, fetch=lambda _: pytest.fail("asked"), certificate_end=lambda _: pytest.fail("asked")
    )
    assert [one(name, place).step for name in ("certificate", "ready")] == [3, 3]


def buckets(origins: dict[str, list[str] | None]) -> dict[str, Answer]:
    def resource(name: str) -> dict[str, Any]:
        return {
            "LogicalResourceId": name,
            "PhysicalResourceId": name,
            "ResourceType": "AWS::S3::Bucket",
            "ResourceStatus": "CREATE_COMPLETE",
            "LastUpdatedTimestamp": "2026-01-01",
        }

    def rules(asked: dict[str, Any]) -> Any:
        allowed = origins[asked["Bucket"]]
        if allowed is None:
            return "NoSuchCORSConfiguration: The CORS configuration does not exist"
        return {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": allowed}]}

    return {
        "DescribeStacks": stacks(Cohort_Storage=stack()),
        "ListStackResources": {"StackResourceSummaries": [resource(name) for name in origins]},
        "GetBucketCors": rules,
    }


def test_each_analysis_bucket_lets_the_site_s_origin_in() -> None:
    found = one("cors", context(buckets({"cohort-a": ["https://cohort.example.org"]})))
    assert (found.state, found.seen) == (State.OK, "1 analysis buckets let https://cohort.example.org in")


def test_a_bucket_of_another_origin_or_of_none_is_named() -> None:
    found = one(
        "cors",
        context(buckets({"cohort-a": ["https://old.example.org"], "cohort-b": None, "cohort-c": ["https://cohort.example.org"]})),
    )
    assert found.state is State.TO_DO
    assert found.seen.startswith("cohort-a (https://old.example.org), cohort-b (none):")
    assert "platform sync" in found.advice


def test_before_there_is_a_storage_stack_the_fifth_step_makes_it() -> None:
    assert one("cors", context({"DescribeStacks": ABSENT})).step == 5
