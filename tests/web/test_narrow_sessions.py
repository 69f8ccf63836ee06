"""What members' own sessions and keys do at S3, with the policies that they have there.

Under both answers that S3 may give of a file that is not there to whoever may list below a prefix alone.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import pytest
from botocore.exceptions import ClientError
from django.utils import timezone

from control_plane.access.groups.services.credentials import computer_policy
from control_plane.base.errors import NotFound
from control_plane.research.configurations import services as configurations
from control_plane.research.jobs import protocol, status, submitting
from control_plane.research.jobs.models import Job
from control_plane.research.storage import objects, presence, sessions
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.sessions import Purpose, s3_client
from control_plane.research.uploads import complete
from control_plane.research.uploads.models import Upload
from local_aws.server import EmbeddedAws
from stacks import names, policies
from stacks.manifest import AnalysisGrant, GroupManifest
from tests.factories import DeploymentFactory
from tests.local_aws.helpers import ACCOUNT, client, crc
from tests.web.uploader import BUCKET, Person, new, started

INPUTS = "example-lab/inputs"
LARGE = 18 * 2**20
MIB = 2**20
Root = Any


def made_role(aws: EmbeddedAws, place: GroupFolder) -> None:
    """The group's role with its policies and boundary, as the group's stack makes it."""
    stack = place.group.stack
    iam = client(aws, "iam", stack.account)
    arn = names.role_arn(stack.account, stack.region, place.group.slug)
    path, _, name = arn.partition(":role")[2].rpartition("/")
    manifest = group_manifest(place)
    boundary = {"PolicyName": "boundary", "PolicyDocument": json.dumps(policies.boundary(["cohort-*"], stack.region))}
    limit = iam.create_policy(**boundary)["Policy"]["Arn"]
    trust = json.dumps(policies.role_trust(manifest))
    iam.create_role(RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument=trust, PermissionsBoundary=limit)
    for number, document in enumerate([*policies.group_policies(manifest), policies.undo_policy(manifest)]):
        iam.put_role_policy(RoleName=name, PolicyName=str(number), PolicyDocument=json.dumps(document))


def group_manifest(place: GroupFolder) -> GroupManifest:
    stack = place.group.stack
    grants = (AnalysisGrant(bucket=BUCKET, access="read-write"),)
    return GroupManifest(
        slug=place.group.slug, generation=1, account=stack.account, region=stack.region, members=(), analyses=grants
    )


@pytest.fixture(scope="module")
def _at_embedded_aws(uploads_aws: EmbeddedAws) -> Iterator[None]:
    """Sessions are opened at the embedded AWS, by its account."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", uploads_aws.endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", ACCOUNT)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "root")
        yield


@pytest.fixture
def real_sessions(uploads_aws: EmbeddedAws, place: GroupFolder, _at_embedded_aws: None) -> Iterator[None]:
    """The group's role is there, and no session of the test before is kept."""
    sessions._clients.clear()
    try:
        made_role(uploads_aws, place)
    except client(uploads_aws, "iam").exceptions.EntityAlreadyExistsException:
        # Of the test before.
        pass
    yield
    sessions._clients.clear()


@pytest.fixture(params=[403, 404])
def missing(request: pytest.FixtureRequest, uploads_aws: EmbeddedAws, real_sessions: None) -> Iterator[None]:
    """S3 answers so of what is not there."""
    uploads_aws.set_missing(request.param)
    yield
    uploads_aws.set_missing(403)


@pytest.fixture
def root(uploads_aws: EmbeddedAws, place: GroupFolder) -> Root:
    return client(uploads_aws, "s3", place.group.stack.account)


@pytest.fixture
def member(missing: None, place: GroupFolder, actor: Any) -> Person:
    """Ada, whose browser has a session to upload."""
    return Person(s3_client(place, Purpose.UPLOAD), place, actor)


@pytest.fixture
def suspended(uploads_aws: EmbeddedAws, place: GroupFolder, real_sessions: None) -> Iterator[None]:
    """Every right of the group's role is denied, as the lockout does it."""
    stack = place.group.stack
    iam = client(uploads_aws, "iam", stack.account)
    role = names.role(place.group.slug)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="denied", PolicyDocument=json.dumps(document))
    yield
    iam.delete_role_policy(RoleName=role, PolicyName="denied")


def test_a_new_large_file_is_uploaded_without_the_right_to_list_the_bucket(member: Person, root: Root) -> None:
    body = b"x" * LARGE
    upload = started(member.start(new("large.avi", LARGE))[0])
    ended = member.finish(upload, body, member.put_parts(upload, body))
    assert ended.state == Upload.State.COMPLETE
    assert root.head_object(Bucket=BUCKET, Key=f"{INPUTS}/large.avi")["ContentLength"] == LARGE
    root.delete_object(Bucket=BUCKET, Key=f"{INPUTS}/large.avi")


def test_a_large_file_of_a_name_that_is_taken_is_asked_about(member: Person, root: Root) -> None:
    root.put_object(Bucket=BUCKET, Key=f"{INPUTS}/taken.avi", Body=b"there")
    assert member.start(new("taken.avi", LARGE))[0].status == "exists"
    # What begins with the name is not that file.
    root.put_object(Bucket=BUCKET, Key=f"{INPUTS}/free.avi.txt", Body=b"there")
    assert member.start(new("free.avi", LARGE))[0].status == "send"


def test_what_never_arrived_is_said_not_to_be_there(member: Person) -> None:
    upload = started(member.start(new("never.txt", 5))[0])
    ended = complete.complete_uploads(member.place, [complete.SentFile(upload.pk, crc(b"hello"), "")], member.actor)[0]
    assert ended.state == Upload.State.SENDING
    assert ended.detail == "S3 does not hold it. It is not complete; send it again."


def test_a_suspended_member_s_files_are_not_called_missing(member: Person, root: Root, suspended: None) -> None:
    root.put_object(Bucket=BUCKET, Key=f"{INPUTS}/there.txt", Body=b"hello")
    for key in (f"{INPUTS}/there.txt", f"{INPUTS}/not-there.txt"):
        with pytest.raises(ClientError, match="403"):
            presence.head(member.s3, BUCKET, key)
        with pytest.raises(objects.NoAnswer, match="did not say what is there"):
            objects.look_up_objects(member.place, [key])
        with pytest.raises(objects.NoAnswer, match="Nothing was submitted"):
            submitting._missing(member.place, [key])
    refused = member.start(new("suspended.avi", LARGE))[0]
    assert (refused.status, refused.can_retry) == ("refused", True)
    with pytest.raises(objects.NoAnswer):
        configurations.read_configuration(member.place, "fast")


def test_files_that_went_meanwhile_are_named(member: Person, root: Root) -> None:
    root.put_object(Bucket=BUCKET, Key=f"{INPUTS}/stays.csv", Body=b"1")
    with pytest.raises(NotFound, match=r"gone\.csv is not there any more"):
        objects.look_up_objects(member.place, [f"{INPUTS}/stays.csv", f"{INPUTS}/gone.csv"])
    assert submitting._missing(member.place, [f"{INPUTS}/stays.csv", f"{INPUTS}/gone.csv"]) == [f"{INPUTS}/gone.csv"]


@pytest.mark.parametrize("seconds_ago", [1, 3600])
def test_a_configuration_or_a_version_of_it_that_is_gone_is_not_found(member: Person, root: Root, seconds_ago: int) -> None:
    """Also right after a deployment, while a refusal may be IAM's delay: what is not listed is gone."""
    ended = timezone.now() - timedelta(seconds=seconds_ago)
    DeploymentFactory.create(stack=member.place.group.stack, generation=1, state="succeeded", finished_at=ended)
    key = "example-lab/configs/fast.yaml"
    with pytest.raises(NotFound):
        configurations.read_configuration(member.place, "fast")
    version = root.put_object(Bucket=BUCKET, Key=key, Body=b"a: 1\n")["VersionId"]
    assert configurations.read_configuration(member.place, "fast", version).text == "a: 1\n"
    root.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
    root.put_object(Bucket=BUCKET, Key=key, Body=b"a: 2\n")
    with pytest.raises(NotFound):
        configurations.read_configuration(member.place, "fast", version)
    root.delete_object(Bucket=BUCKET, Key=key)


def test_a_deletion_that_was_undone_already_is_said_to_be(member: Person, root: Root) -> None:
    key = f"{INPUTS}/undone.csv"
    root.put_object(Bucket=BUCKET, Key=key, Body=b"1")
    deletion = objects.Deletion(key, objects.delete_objects(member.place, [key], member.actor)[0].marker)
    assert objects.restore_objects(member.place, [deletion], member.actor)[0].error == ""
    assert "undone already" in objects.restore_objects(member.place, [deletion], member.actor)[0].error


def test_a_log_that_is_not_there_yet_is_waited_for(member: Person) -> None:
    job = Job(group=member.place.group, analysis=member.place.analysis, timestamp=1, inputs=[f"{INPUTS}/a.csv"])
    part = status.read_log(job, f"{INPUTS}/a.csv", -1, sessions.jobs_client(member.place.group, member.place.analysis))
    assert not part.is_there
    assert protocol.log_key(job, f"{INPUTS}/a.csv").startswith("example-lab/results/")


@pytest.mark.parametrize("purpose", [Purpose.UPLOAD, Purpose.BROWSE])
def test_no_session_of_a_page_sets_or_reads_tags(real_sessions: None, place: GroupFolder, root: Root, purpose: Purpose) -> None:
    key = f"{INPUTS}/untagged.csv"
    root.put_object(Bucket=BUCKET, Key=key, Body=b"1")
    s3 = s3_client(place, purpose)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object_tagging(Bucket=BUCKET, Key=key)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object_tagging(Bucket=BUCKET, Key=key, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})


def test_an_upload_s_session_lists_no_folder_that_it_does_not_write(real_sessions: None, place: GroupFolder) -> None:
    s3 = s3_client(place, Purpose.UPLOAD)
    s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{INPUTS}/x", MaxKeys=1)
    for prefix in ("example-lab/results/", "example-lab/", "other-lab/inputs/", ""):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix, MaxKeys=1)


@pytest.fixture(params=["computer", "key"])
def own_computer(
    request: pytest.FixtureRequest, uploads_aws: EmbeddedAws, place: GroupFolder, real_sessions: None
) -> Iterator[Any]:
    """S3 from a member's own computer: with a session, or with an access key."""
    if request.param == "computer":
        given = sessions._assume(place.group, "maaaaaaaaaaa", computer_policy(place.group))
        yield client(uploads_aws, "s3", given.access_key_id, given.secret_access_key, given.session_token)
        return
    account, name = place.group.stack.account, "mbbbbbbbbbbb"
    iam = client(uploads_aws, "iam", account)
    iam.create_user(UserName=name, PermissionsBoundary=f"arn:aws:iam::{account}:policy/boundary")
    (document,) = policies.group_policies(group_manifest(place))
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield client(uploads_aws, "s3", key["AccessKeyId"], key["SecretAccessKey"])
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="own")
    iam.delete_user(UserName=name)


def move_as_the_cli(s3: Any, key: str, to: str) -> None:
    """What `aws s3 mv` of version 2 does with an object over 8 MiB: it copies in parts, with the tags, and deletes."""
    size = s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"]
    tags = s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
    more = {"Tagging": "&".join(f"{tag['Key']}={tag['Value']}" for tag in tags)} if tags else {}
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=to, **more)["UploadId"]
    parts = []
    for number, at in enumerate(range(0, size, 8 * MIB), start=1):
        named: dict[str, Any] = {"Bucket": BUCKET, "Key": to, "UploadId": upload, "PartNumber": number}
        wanted = f"bytes={at}-{min(at + 8 * MIB, size) - 1}"
        copied = s3.upload_part_copy(**named, CopySource=f"{BUCKET}/{key}", CopySourceRange=wanted)["CopyPartResult"]
        parts.append({"PartNumber": number, "ETag": copied["ETag"]})
    s3.complete_multipart_upload(Bucket=BUCKET, Key=to, UploadId=upload, MultipartUpload={"Parts": parts})
    s3.delete_object(Bucket=BUCKET, Key=key)


@pytest.mark.parametrize("tags", [{}, {"Tagging": "session=5"}])
def test_members_rename_a_large_recording_by_the_cli(own_computer: Any, root: Root, tags: dict[str, str]) -> None:
    root.put_object(Bucket=BUCKET, Key=f"{INPUTS}/v2.bin", Body=b"x" * (9 * MIB), **tags)
    move_as_the_cli(own_computer, f"{INPUTS}/v2.bin", f"{INPUTS}/renamed.bin")
    assert root.head_object(Bucket=BUCKET, Key=f"{INPUTS}/renamed.bin")["ContentLength"] == 9 * MIB
    found = root.get_object_tagging(Bucket=BUCKET, Key=f"{INPUTS}/renamed.bin")["TagSet"]
    assert found == ([{"Key": "session", "Value": "5"}] if tags else [])
    root.delete_object(Bucket=BUCKET, Key=f"{INPUTS}/renamed.bin")


@pytest.mark.parametrize("way", ["put", "upload", "copy", "tag"])
def test_nobody_sends_their_files_to_the_archive_by_a_tag(
    own_computer: Any, root: Root, way: Literal["put", "upload", "copy", "tag"]
) -> None:
    key, tag = f"{INPUTS}/not-archived.csv", f"{names.ARCHIVE_TAG}={names.ARCHIVE_TAG_VALUE}"
    root.put_object(Bucket=BUCKET, Key=key, Body=b"1")
    named: dict[str, Any] = {"Bucket": BUCKET, "Key": key}
    one = {"TagSet": [{"Key": names.ARCHIVE_TAG, "Value": names.ARCHIVE_TAG_VALUE}]}
    ways = {
        "put": lambda: own_computer.put_object(**named, Body=b"2", Tagging=tag),
        "upload": lambda: own_computer.create_multipart_upload(**named, Tagging=f"session=5&{tag}"),
        "copy": lambda: own_computer.copy_object(
            **named, CopySource=f"{BUCKET}/{key}", TaggingDirective="REPLACE", MetadataDirective="REPLACE", Tagging=tag
        ),
        "tag": lambda: own_computer.put_object_tagging(**named, Tagging=one),
    }
    with pytest.raises(ClientError, match="AccessDenied"):
        ways[way]()
    assert root.get_object_tagging(**named)["TagSet"] == []
    own_computer.put_object_tagging(**named, Tagging={"TagSet": [{"Key": "session", "Value": "5"}]})


def test_results_keep_their_tags(own_computer: Any, root: Root) -> None:
    key = "example-lab/results/job/out.csv"
    root.put_object(Bucket=BUCKET, Key=key, Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        own_computer.put_object_tagging(Bucket=BUCKET, Key=key, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    assert own_computer.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"] == []
