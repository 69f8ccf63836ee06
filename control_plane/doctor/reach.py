"""Checks that people can reach the site: DNS, certificate, readiness, and its origin in the buckets' CORS rules."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from control_plane.doctor.check_context import CheckContext, error_code
from control_plane.doctor.findings import Finding, NeedsStep, not_yet, ok, to_do
from control_plane.doctor.stacks import output, require_stack, stack
from stacks import names
from stacks.site.settings import BACKUP_STACK, HOST_STACK

# The alarm's threshold (`stacks.site.monitoring`).
MIN_CERTIFICATE_DAYS = 14
DIG = "Correct it, then wait for its TTL: dig +short "
MAX_BUCKETS = 1000
MAX_NAMED = 10


def dns(context: CheckContext) -> Iterator[Finding]:
    """Check that the domain resolves to the host's address, or to the load balancer."""
    domain, (record, target) = context.domain, _expected_record(context)
    wanted = context.resolve(target) if record == "CNAME" else frozenset([target])
    try:
        addresses = context.resolve(domain)
    except OSError:
        yield not_yet(4, f"{domain} is not in DNS", f"Make a record {record} for {domain} with {target}.")
        return
    if addresses <= wanted:
        yield ok(f"{domain} leads to {target}")
    else:
        away = ", ".join(sorted(addresses - wanted))
        yield to_do(f"{domain} leads to {away}, and not to {target} alone", f"Its record is {record} {target}. {DIG}{domain}")


def _expected_record(context: CheckContext) -> tuple[str, str]:
    """Return the type and value of the DNS record. Raises NeedsStep if the target is not made yet."""
    host = stack(context, HOST_STACK)
    balancer = next(
        (
            stack_output["OutputValue"]
            for stack_output in (host or {}).get("Outputs", [])
            if str(stack_output["OutputValue"]).endswith((".elb.amazonaws.com", ".elb.amazonaws.com.cn"))
        ),
        "",
    )
    if balancer:
        return "CNAME", str(balancer)
    if context.site and context.site.tls == "acm":
        raise NeedsStep(3, f"{HOST_STACK} has made no load balancer yet")
    return "A", output(require_stack(context, BACKUP_STACK), "HostAddress")


def own_certificate(context: CheckContext) -> Iterator[Finding]:
    """Check that the certificate in site.toml is issued, and for the domain."""
    site = context.require_site()
    if not site.certificate_arn:
        how = "certbot asks for one on the host" if site.tls == "certbot" else "AWS makes one while Cohort-Host is deployed"
        yield ok(f"site.toml names none: {how}")
        return
    try:
        described = context.aws("acm").describe_certificate(CertificateArn=site.certificate_arn)["Certificate"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        yield to_do(f"{site.certificate_arn} is not there", "Correct `certificate_arn`, or leave it out, and one is made.")
        return
    covered = [str(name).lower() for name in described.get("SubjectAlternativeNames", [described["DomainName"]])]
    if described["Status"] != "ISSUED":
        yield to_do(f"is {described['Status']}", "ACM's console shows the DNS record that it waits for.")
    elif not any(name == site.domain or (name.startswith("*.") and site.domain.partition(".")[2] == name[2:]) for name in covered):
        yield to_do(f"is for {', '.join(covered)}, not for {site.domain}", "Name another in `certificate_arn`.")
    else:
        yield ok(f"is ISSUED, for {', '.join(covered)}")


def certificate(context: CheckContext) -> Iterator[Finding]:
    """Verify the site's certificate as a browser does, and check its expiry."""
    domain = context.domain
    require_stack(context, HOST_STACK)
    try:
        ends = context.certificate_end(domain)
    except ssl.SSLCertVerificationError as error:
        yield to_do(
            f"{domain} shows one that browsers refuse: {error.verify_message}",
            "The host asks again each half hour once DNS leads to it; why it was refused: sudo journalctl -t cohort-certificate",
        )
        return
    except OSError as error:
        yield not_yet(4, f"{domain} does not answer on port 443: {error}", "See “DNS”; then the table of step 4.")
        return
    days = (ends - context.now()).days
    if days < MIN_CERTIFICATE_DAYS:
        yield to_do(f"ends in {days} days, and was not renewed", "On the host: sudo certbot renew; mostly port 80 or DNS.")
    else:
        yield ok(f"is valid for {days} days")


def readiness(context: CheckContext) -> Iterator[Finding]:
    """Check the site's own /readyz."""
    require_stack(context, HOST_STACK)
    url = f"{context.origin}/readyz"
    try:
        status, body = context.fetch(url)
        answer: Any = json.loads(body)
    except (OSError, ValueError, RecursionError) as error:
        yield not_yet(4, f"{url} does not answer as it should: {error}", "See “Certificate” and “DNS”.")
        return
    failed = [check for check in answer.get("checks", []) if not check.get("ok")] if isinstance(answer, dict) else []
    if status == 200 and not failed:
        yield ok(f"{url} says that it is ready")
    else:
        first = failed[0] if failed else {}
        yield to_do(
            f"{url} says {status}: {first.get('problem', 'not ready')}", str(first.get("advice", "sudo journalctl -u cohort-web"))
        )


def cors(context: CheckContext) -> Iterator[Finding]:
    """Check that each analysis bucket allows the site's web origin alone: browsers send files straight to S3."""
    origin, s3 = context.origin, context.aws("s3")
    buckets = _buckets(context)
    wrong, same = [], 0
    for bucket in buckets[:MAX_BUCKETS]:
        try:
            rules = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
        except ClientError as error:
            if error_code(error) != "NoSuchCORSConfiguration":
                raise
            rules = []
        allowed = {allowed_origin for rule in rules for allowed_origin in rule["AllowedOrigins"]}
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


def _buckets(context: CheckContext) -> list[str]:
    """Return the analysis buckets of the storage stacks. Raises NeedsStep if there is no such stack yet."""
    buckets, number = [], 1
    while stack(context, names.storage_stack(number)) is not None:
        pages = context.aws("cloudformation").get_paginator("list_stack_resources").paginate(StackName=names.storage_stack(number))
        buckets += [
            str(resource["PhysicalResourceId"])
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == "AWS::S3::Bucket"
            and resource["ResourceStatus"] != "DELETE_COMPLETE"
            and resource.get("PhysicalResourceId")
        ]
        number += 1
    if number == 1:
        raise NeedsStep(5, f"{names.PLATFORM_STACK} is not there", "sudo cohort platform sync --wait, on the host.")
    return buckets
