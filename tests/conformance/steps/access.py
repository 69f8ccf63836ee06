"""The access matrix: what each kind of member may do, and may not, with the credentials that they have on their own computer."""

import json
from collections.abc import Callable
from typing import Any

from stacks import names
from tests.conformance.asking import error_of, status_of
from tests.conformance.step import Need, Steps
from tests.conformance.tour import GROUP, KEYS, KINDS, OTHER, THEIR_FEDERATED, Tour

STEPS = Steps("Who may do what")
IAM_DECIDES: Need = "decisions of IAM"
Try = tuple[str, Callable[[], Any]]
# What a row returns is told of it in the report.
Matrix = Callable[[Tour, Any, str], str | None]
ROWS: list[tuple[str, str, tuple[Need, ...], Matrix]] = []


def row(title: str, *needs: Need) -> Callable[[Matrix], Matrix]:
    """Declare a row that is tried for each kind of member."""

    def declare(matrix: Matrix) -> Matrix:
        ROWS.append((matrix.__name__, title, needs, matrix))
        return matrix

    return declare


def refuse(tour: Tour, *tries: Try) -> None:
    for what, call in tries:
        tour.refused(what, call)


@STEPS.step("The other group has a file in each of its buckets")
def theirs(tour: Tour) -> None:
    s3 = tour.s3(THEIR_FEDERATED, OTHER)
    for bucket in (tour.bucket, tour.elsewhere):
        tour.allowed(lambda bucket=bucket: s3.put_object(Bucket=bucket, Key=f"{OTHER}/inputs/secret.txt", Body=b"theirs"))


@row("reads, writes, lists and deletes in the group's own folders")
def own(tour: Tour, s3: Any, who: str) -> None:
    bucket = tour.bucket
    for folder in names.WRITABLE_FOLDERS:
        key = f"{GROUP}/{folder}/{who}.txt"
        s3.put_object(Bucket=bucket, Key=key, Body=b"ours")
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"ours"
        assert key in {content["Key"] for content in s3.list_objects_v2(Bucket=bucket, Prefix=f"{GROUP}/{folder}/")["Contents"]}
        s3.delete_object(Bucket=bucket, Key=key)
        assert key not in {
            content["Key"] for content in s3.list_objects_v2(Bucket=bucket, Prefix=f"{GROUP}/{folder}/").get("Contents", [])
        }


@row("reads results and may delete them, and writes none", IAM_DECIDES)
def results(tour: Tour, s3: Any, who: str) -> None:
    bucket, key = tour.bucket, f"{GROUP}/results/job-{who}/summary.md"
    tour.target.client("s3").put_object(Bucket=bucket, Key=key, Body=b"# Done")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"# Done"
    refuse(tour, ("writing a result", lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"")))
    s3.delete_object(Bucket=bucket, Key=key)


@row("is refused in the other group's folder", IAM_DECIDES)
def others(tour: Tour, s3: Any, who: str) -> None:
    bucket, key = tour.bucket, f"{OTHER}/inputs/secret.txt"
    refuse(
        tour,
        ("reading it", lambda: s3.get_object(Bucket=bucket, Key=key)),
        ("its head", lambda: s3.head_object(Bucket=bucket, Key=key)),
        ("overwriting it", lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"")),
        ("deleting it", lambda: s3.delete_object(Bucket=bucket, Key=key)),
        ("listing the folder", lambda: s3.list_objects_v2(Bucket=bucket, Prefix=f"{OTHER}/")),
        ("listing versions there", lambda: s3.list_object_versions(Bucket=bucket, Prefix=f"{OTHER}/")),
        ("beginning an upload there", lambda: s3.create_multipart_upload(Bucket=bucket, Key=f"{OTHER}/inputs/new.bin")),
    )


@row("is refused under names near its own: without the slash, longer, shorter, in capitals, after a slash", IAM_DECIDES)
def near(tour: Tour, s3: Any, who: str) -> None:
    bucket = tour.bucket
    # Leading slash: boto3 sends it as it is, and S3 takes it as another key.
    near_names = (
        f"{GROUP}x/inputs/a",
        f"{GROUP[:-1]}/inputs/a",
        f"{GROUP.upper()}/inputs/a",
        f"/{GROUP}/inputs/a",
        f"x/{GROUP}/inputs/a",
    )
    refuse(
        tour,
        ("listing by the bare name", lambda: s3.list_objects_v2(Bucket=bucket, Prefix=GROUP)),
        *((f"writing {key}", lambda key=key: s3.put_object(Bucket=bucket, Key=key, Body=b"")) for key in near_names),
        *((f"reading {key}", lambda key=key: s3.get_object(Bucket=bucket, Key=key)) for key in near_names),
    )


@row("is refused at the bucket's root and about the bucket itself", IAM_DECIDES)
def root(tour: Tour, s3: Any, who: str) -> None:
    bucket = tour.bucket
    refuse(
        tour,
        ("listing everything", lambda: s3.list_objects_v2(Bucket=bucket)),
        ("listing the root's folders", lambda: s3.list_objects_v2(Bucket=bucket, Prefix="", Delimiter="/")),
        ("writing at the root", lambda: s3.put_object(Bucket=bucket, Key="a.txt", Body=b"")),
        ("writing beside the folders", lambda: s3.put_object(Bucket=bucket, Key=f"{GROUP}/a.txt", Body=b"")),
        ("reading its policy", lambda: s3.get_bucket_policy(Bucket=bucket)),
        ("writing its policy", lambda: s3.put_bucket_policy(Bucket=bucket, Policy=_open_to_all(tour))),
        (
            "writing its CORS",
            lambda: s3.put_bucket_cors(
                Bucket=bucket, CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
            ),
        ),
        ("deleting it", lambda: s3.delete_bucket(Bucket=bucket)),
        ("listing all uploads", lambda: s3.list_multipart_uploads(Bucket=bucket)),
    )


@row("is refused in other buckets: the other group's, CDK's, and all there are", IAM_DECIDES)
def buckets(tour: Tour, s3: Any, who: str) -> None:
    assets = names.cdk_assets(tour.target.account, tour.target.region)
    refuse(
        tour,
        ("listing its own name there", lambda: s3.list_objects_v2(Bucket=tour.elsewhere, Prefix=f"{GROUP}/")),
        ("writing its own name there", lambda: s3.put_object(Bucket=tour.elsewhere, Key=f"{GROUP}/inputs/a", Body=b"")),
        ("reading the other group's file there", lambda: s3.get_object(Bucket=tour.elsewhere, Key=f"{OTHER}/inputs/secret.txt")),
        ("listing CDK's bucket", lambda: s3.list_objects_v2(Bucket=assets)),
        ("writing into CDK's bucket", lambda: s3.put_object(Bucket=assets, Key="a", Body=b"")),
        ("listing all buckets", s3.list_buckets),
        ("making a bucket", lambda: s3.create_bucket(Bucket=f"{tour.elsewhere}-own", **_location(tour))),
    )


@row("is refused by IAM, STS, Secrets Manager and CloudFormation", IAM_DECIDES)
def iam(tour: Tour, s3: Any, who: str) -> None:
    kept, target = tour.credentials(who), tour.target
    mine = names.user(GROUP, tour.kept[f"username {KEYS}"])
    role = names.role_arn(target.account, target.region, OTHER)
    admin = f"arn:{names.partition(target.region)}:iam::aws:policy/AdministratorAccess"
    client, sts = target.client_as("iam", kept), target.client_as("sts", kept)
    secrets, stacks = target.client_as("secretsmanager", kept), target.client_as("cloudformation", kept)
    secret = names.secret(GROUP, tour.kept[f"username {KEYS}"])
    refuse(
        tour,
        ("listing users", client.list_users),
        ("another key of its own", lambda: client.create_access_key(UserName=mine)),
        ("more rights of its own", lambda: client.attach_user_policy(UserName=mine, PolicyArn=admin)),
        ("a life without the boundary", lambda: client.delete_user_permissions_boundary(UserName=mine)),
        ("another user", lambda: client.create_user(UserName="conform-intruder")),
        ("the other group's role", lambda: sts.assume_role(RoleArn=role, RoleSessionName="intruder")),
        (
            "CDK's role",
            lambda: sts.assume_role(RoleArn=names.deploy_role_arn(target.account, target.region), RoleSessionName="intruder"),
        ),
        ("its secret in Secrets Manager", lambda: secrets.get_secret_value(SecretId=secret)),
        ("the group's stack", lambda: stacks.delete_stack(StackName=names.group_stack(GROUP))),
    )


@row("reads an older version of its own files and ends none", IAM_DECIDES)
def versions(tour: Tour, s3: Any, who: str) -> None:
    bucket, key = tour.bucket, f"{GROUP}/inputs/versions-{who}.txt"
    first = s3.put_object(Bucket=bucket, Key=key, Body=b"first")["VersionId"]
    s3.put_object(Bucket=bucket, Key=key, Body=b"second")
    assert s3.get_object(Bucket=bucket, Key=key, VersionId=first)["Body"].read() == b"first"
    theirs_there = tour.target.client("s3").list_object_versions(Bucket=bucket, Prefix=f"{OTHER}/inputs/secret.txt")["Versions"][0][
        "VersionId"
    ]
    refuse(
        tour,
        ("ending a version", lambda: s3.delete_object(Bucket=bucket, Key=key, VersionId=first)),
        (
            "a version of the other group's",
            lambda: s3.get_object(Bucket=bucket, Key=f"{OTHER}/inputs/secret.txt", VersionId=theirs_there),
        ),
        (
            "ending the keeping of versions",
            lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}),
        ),
    )


@row("tags its own files, but neither for the archive nor anybody else's", IAM_DECIDES)
def tagging(tour: Tour, s3: Any, who: str) -> None:
    bucket, key = tour.bucket, f"{GROUP}/inputs/tags-{who}.txt"
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=_tags("session", "7"))
    assert s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == [{"Key": "session", "Value": "7"}]
    archive = _tags(names.ARCHIVE_TAG, names.ARCHIVE_TAG_VALUE)
    refuse(
        tour,
        ("the archive's tag", lambda: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=archive)),
        (
            "the archive's tag while writing",
            lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"", Tagging=f"{names.ARCHIVE_TAG}=true"),
        ),
        ("tags of the other group's", lambda: s3.get_object_tagging(Bucket=bucket, Key=f"{OTHER}/inputs/secret.txt")),
        (
            "tagging the other group's",
            lambda: s3.put_object_tagging(Bucket=bucket, Key=f"{OTHER}/inputs/secret.txt", Tagging=_tags("a", "b")),
        ),
    )


@row("copies within the group's folders with the tags, and neither out of nor into the other group's", IAM_DECIDES)
def copying(tour: Tour, s3: Any, who: str) -> None:
    bucket, key = tour.bucket, f"{GROUP}/inputs/copied-{who}.txt"
    s3.put_object(Bucket=bucket, Key=key, Body=b"copy me", Tagging="session=8")
    s3.copy_object(Bucket=bucket, Key=f"{key}.new", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key=f"{key}.new")["Body"].read() == b"copy me"
    assert s3.get_object_tagging(Bucket=bucket, Key=f"{key}.new")["TagSet"] == [{"Key": "session", "Value": "8"}]
    secret = {"Bucket": bucket, "Key": f"{OTHER}/inputs/secret.txt"}
    refuse(
        tour,
        ("copying the other group's file", lambda: s3.copy_object(Bucket=bucket, Key=f"{key}.stolen", CopySource=secret)),
        (
            "copying into the other group's folder",
            lambda: s3.copy_object(Bucket=bucket, Key=f"{OTHER}/inputs/planted", CopySource={"Bucket": bucket, "Key": key}),
        ),
        (
            "copying into another bucket",
            lambda: s3.copy_object(Bucket=tour.elsewhere, Key=f"{GROUP}/inputs/out", CopySource={"Bucket": bucket, "Key": key}),
        ),
    )


@row("is told of a file that is not there by 404, or 403")
def absent(tour: Tour, s3: Any, who: str) -> str:
    error = error_of(lambda: s3.head_object(Bucket=tour.bucket, Key=f"{GROUP}/inputs/never-there"))
    assert error, "there is such a file"
    assert status_of(error) in (403, 404), error
    return f"HEAD under a right to list by prefix: {status_of(error)}"


def _open_to_all(tour: Tour) -> str:
    """A bucket policy as AWS takes it, so that the right alone decides."""
    everything = f"arn:{names.partition(tour.target.region)}:s3:::{tour.bucket}/*"
    statement = {"Effect": "Allow", "Principal": {"AWS": tour.target.account}, "Action": "s3:GetObject", "Resource": everything}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _location(tour: Tour) -> dict[str, Any]:
    """Where a bucket is to be; the first region takes no such word (S3 API reference, CreateBucket)."""
    region = tour.target.region
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def _tags(key: str, value: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value}]}


for _name, _title, _needs, _matrix in ROWS:
    for _kind, _email in KINDS.items():

        def _tried(tour: Tour, matrix: Matrix = _matrix, email: str = _email) -> str | None:
            return matrix(tour, tour.s3(email), email)

        STEPS.add(f"{_name}, {_kind}", f"A {_kind} {_title}", _tried, *_needs)
