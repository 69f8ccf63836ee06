"""What the record's stories have in common: people, and an object in S3."""

import json
from typing import Any

import boto3
from allauth.account.models import EmailAddress

from tests.record.running import PASSWORD, Site, model

# The people of the stories are named for what they are.
ADMINISTRATOR, SECOND, MANAGER, MEMBER, HOLDER = (
    f"{who}@example.org" for who in ("administrator", "second-administrator", "manager", "member", "key-holder")
)
LAB, OTHER, ANALYSIS, BUCKET = "example-lab", "other-lab", "ephys", "cohort-ephys"


def person(email: str, **fields: Any) -> Any:
    """Somebody with a password, whose address is verified."""
    user = model("accounts.User").objects.create_user(email, PASSWORD, **fields)
    EmailAddress.objects.update_or_create(user=user, email=email, defaults={"verified": True, "primary": True})
    return user


def administrator(email: str) -> Any:
    """Somebody who administers the site."""
    return person(email, is_staff=True, is_superuser=True)


def make_lab(site: Site) -> None:
    """A group that AWS has, with a manager, a member and a holder of a key, and an analysis with an object in its bucket."""
    administrator(ADMINISTRATOR)
    for email in (MANAGER, MEMBER, HOLDER):
        person(email)
    site.must(f'group create {LAB} --name "Example Lab"')
    site.must(f"group create {OTHER} --name 'Other Lab'")
    site.must(f"analysis create {ANALYSIS} --bucket {BUCKET} --name Electrophysiology")
    site.deploy()
    site.must(f"analysis grant {ANALYSIS} {LAB}")
    site.must(f"member add {LAB} {MANAGER} --manager")
    site.must(f"member add {LAB} {MEMBER}")
    site.must(f"member add {LAB} {HOLDER} --access keys")
    site.deploy()
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    put("inputs/a.csv", "1,2")
    put("configs/first.yaml", "rate: 1")


def put(path: str, body: str) -> None:
    """Have the group's folder hold this."""
    boto3.client("s3", region_name="us-east-1").put_object(Bucket=BUCKET, Key=f"{LAB}/{path}", Body=body.encode())


def end_jobs(status: str) -> None:
    """Have the back end write how each open job went."""
    for job in model("jobs.Job").objects.filter(ended_at=None):
        lines = [f"DATANAME: {path} | STATUS: {status} | TIME: 12:00 | LAST COMMAND: python go.py" for path in job.inputs]
        folder = job.prefix.removeprefix(f"{LAB}/")
        put(f"{folder}logs/certificate.txt", "\n".join(["CERTIFICATE", *lines, ""]))
        put(f"{folder}process_results/end.txt", "")
        for path in job.inputs:
            put(f"{folder}logs/DATASET_NAME:{path.rpartition('/')[2]}_STATUS.txt", json.dumps({"status": status}))


def compact(document: Any) -> str:
    """JSON for people to read, with its keys sorted."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
