"""Whether people reach the site: its name in DNS, its certificate, its own word that it is ready, and its origin in S3."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from control_plane.doctor.findings import Finding, NeedsStep, not_yet, ok, to_do
from control_plane.doctor.stacks import output, require_stack, stack
from control_plane.doctor.surroundings import Surroundings, code_of
from stacks import names
from stacks.site import BACKUP_STACK, HOST_STACK

# As the alarm has it (`stacks.monitoring`).
LEAST_DAYS = 14
DIG = "Correct it, then wait for its TTL: dig +short "
MAX_BUCKETS = 1000
MAX_NAMED = 10


def dns(around: Surroundings) -> Iterator[Finding]:
    """Look whether the domain leads to the host's address, or to the load balancer."""
    domain, (record, target) = around.domain, _target(around)
    wanted = around.resolve(target) if record == "CNAME" else frozenset([target])
    try:
        found = around.resolve(domain)
    except OSError:
        yield not_yet(4, f"{domain} is not in DNS", f"Make a record {record} for {domain} with {target}.")
        return
    if found <= wanted:
        yield ok(f"{domain} leads to {target}")
    else:
        away = ", ".join(sorted(found - wanted))
        yield to_do(f"{domain} leads to {away}, and not to {target} alone", f"Its record is {record} {target}. {DIG}{domain}")


def _target(around: Surroundings) -> tuple[str, str]:
    """The kind of the record, and what it has to hold. Raises NeedsStep where that is not made yet."""
    found = stack(around, HOST_STACK)
    balancer = next(
        (
            one["OutputValue"]
            for one in (found or {}).get("Outputs", [])
            if str(one["OutputValue"]).endswith((".elb.amazonaws.com", ".elb.amazonaws.com.cn"))
        ),
        "",
    )
    if balancer:
        return "CNAME", str(balancer)
    if around.site and around.site.tls == "acm":
        raise NeedsStep(3, f"{HOST_STACK} has made no load balancer yet")
    return "A", output(require_stack(around, BACKUP_STACK), "HostAddress")


def own_certificate(around: Surroundings) -> Iterator[Finding]:
    """Look whether the certificate that site.toml names was issued, and for the domain."""
    site = around.require_site()
    if not site.certificate_arn:
        how = "certbot asks for one on the host" if site.tls == "certbot" else "AWS makes one while Cohort-Host is deployed"
        yield ok(f"site.toml names none: {how}")
        return
    try:
        found = around.aws("acm").describe_certificate(CertificateArn=site.certificate_arn)["Certificate"]
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        yield to_do(f"{site.certificate_arn} is not there", "Correct `certificate_arn`, or leave it out, and one is made.")
        return
    covered = [str(one).lower() for one in found.get("SubjectAlternativeNames", [found["DomainName"]])]
    if found["Status"] != "ISSUED":
        yield to_do(f"is {found['Status']}", "ACM's console shows the DNS record that it waits for.")
    elif not any(one == site.domain or (one.startswith("*.") and site.domain.partition(".")[2] == one[2:]) for one in covered):
        yield to_do(f"is for {', '.join(covered)}, not for {site.domain}", "Name another in `certificate_arn`.")
    else:
        yield ok(f"is ISSUED, for {', '.join(covered)}")


def certificate(around: Surroundings) -> Iterator[Finding]:
    """Verify the certificate that the site shows, as a browser does."""
    domain = around.domain
    require_stack(around, HOST_STACK)
    try:
        ends = around.certificate_end(domain)
    except ssl.SSLCertVerificationError as error:
        yield to_do(
            f"{domain} shows one that browsers refuse: {error.verify_message}",
            "The host asks again each half hour once DNS leads to it; why it was refused: sudo journalctl -t cohort-certificate",
        )
        return
    except OSError as error:
        yield not_yet(4, f"{domain} does not answer on port 443: {error}", "See “DNS”; then the table of step 4.")
        return
    days = (ends - around.now()).days
    if days < LEAST_DAYS:
        yield to_do(f"ends in {days} days, and was not renewed", "On the host: sudo certbot renew; mostly port 80 or DNS.")
    else:
        yield ok(f"is valid for {days} days")


def readiness(around: Surroundings) -> Iterator[Finding]:
    """Ask the site's own /readyz."""
    require_stack(around, HOST_STACK)
    url = f"{around.origin}/readyz"
    try:
        status, body = around.fetch(url)
        answer: Any = json.loads(body)
    except (OSError, ValueError, RecursionError) as error:
        yield not_yet(4, f"{url} does not answer as it should: {error}", "See “Certificate” and “DNS”.")
        return
    failed = [one for one in answer.get("checks", []) if not one.get("ok")] if isinstance(answer, dict) else []
    if status == 200 and not failed:
        yield ok(f"{url} says that it is ready")
    else:
        first = failed[0] if failed else {}
        yield to_do(
            f"{url} says {status}: {first.get('problem', 'not ready')}", str(first.get("advice", "sudo journalctl -u cohort-web"))
        )


def cors(around: Surroundings) -> Iterator[Finding]:
    """Compare the web origins of each analysis bucket with the site's own: browsers send files straight to S3."""
    origin, s3 = around.origin, around.aws("s3")
    buckets = _buckets(around)
    wrong, same = [], 0
    for bucket in buckets[:MAX_BUCKETS]:
        try:
            rules = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
        except ClientError as error:
            if code_of(error) != "NoSuchCORSConfiguration":
                raise
            rules = []
        allowed = {one for rule in rules for one in rule["AllowedOrigins"]}
        if allowed == {origin}:
            same += 1
        else:
            wrong.append(f"{bucket} ({', '.join(sorted(allowed)) or 'none'})")
    if wrong:
        more = f" and {len(wrong) - MAX_NAMED} more" if len(wrong) > MAX_NAMED else ""
        advice = "sudo cohort platform sync --wait; if it has nothing to do, sudo cohort platform renew --wait"
        yield to_do(f"{', '.join(wrong[:MAX_NAMED])}{more}: browsers at {origin} cannot send files", advice)
    else:
        yield ok(f"{same} analysis buckets let {origin} in" if buckets else "there is no analysis bucket yet")


def _buckets(around: Surroundings) -> list[str]:
    """The analysis buckets that the storage stacks hold. Raises NeedsStep before there is the first."""
    found, number = [], 1
    while stack(around, names.storage_stack(number)) is not None:
        pages = around.aws("cloudformation").get_paginator("list_stack_resources").paginate(StackName=names.storage_stack(number))
        found += [
            str(one["PhysicalResourceId"])
            for page in pages
            for one in page["StackResourceSummaries"]
            if one["ResourceType"] == "AWS::S3::Bucket"
            and one["ResourceStatus"] != "DELETE_COMPLETE"
            and one.get("PhysicalResourceId")
        ]
        number += 1
    if number == 1:
        raise NeedsStep(5, f"{names.PLATFORM_STACK} is not there", "sudo cohort platform sync --wait, on the host.")
    return found
