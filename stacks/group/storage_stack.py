"""The storage stacks that all groups share: the analysis buckets.

The boundary that keeps everyone within them is Cohort-Bootstrap's, so that no deployment can redraw it.
"""

from collections.abc import Sequence

from aws_cdk import CfnOutput, CfnWaitConditionHandle, Duration, Environment, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks import names
from stacks._acknowledged import acknowledge_access_logs
from stacks._retention import retain_bucket
from stacks._tagging import add_tags
from stacks.group._worker_synthesizer import worker_synthesizer
from stacks.manifest import PlatformManifest

ABANDONED_UPLOAD_DAYS = 7
CORS_SECONDS = 3000
# What a browser needs to see to put an upload together again and to verify it.
EXPOSED_HEADERS = (
    "ETag",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-version-id",
)
METHODS = (s3.HttpMethods.GET, s3.HttpMethods.PUT, s3.HttpMethods.POST, s3.HttpMethods.DELETE, s3.HttpMethods.HEAD)


class StorageStack(Stack):
    """Analysis buckets, from the storage stack's manifest alone."""

    def __init__(self, scope: Construct, manifest: PlatformManifest) -> None:
        super().__init__(
            scope,
            manifest.stack_name,
            env=Environment(account=manifest.account, region=manifest.region),
            synthesizer=worker_synthesizer(),
            description="Analysis buckets",
        )
        add_tags(self, manifest.tags)
        if not manifest.buckets:
            # CloudFormation takes no stack without a resource, and this one makes nothing.
            CfnWaitConditionHandle(self, "NothingYet")
        for bucket in manifest.buckets:
            AnalysisBucket(
                self,
                f"{names.ANALYSIS_CONSTRUCT}{bucket}",
                bucket_name=bucket,
                origins=manifest.origins,
                earlier_versions_days=manifest.earlier_versions_days,
            )
        CfnOutput(self, "Generation", value=str(manifest.generation), description="The manifest's generation")


class AnalysisBucket(Construct):
    """A private, versioned, encrypted bucket that browsers of our own origins may use. It outlives its stack."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket_name: str,
        origins: Sequence[str],
        earlier_versions_days: int | None,
    ) -> None:
        super().__init__(scope, construct_id)
        bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=bucket_name,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            versioned=True,
            lifecycle_rules=_rules(earlier_versions_days),
            cors=[
                s3.CorsRule(
                    allowed_headers=["*"],
                    allowed_methods=list(METHODS),
                    allowed_origins=list(origins),
                    exposed_headers=list(EXPOSED_HEADERS),
                    max_age=CORS_SECONDS,
                )
            ],
        )
        retain_bucket(bucket)
        acknowledge_access_logs(bucket)


def _rules(earlier_versions_days: int | None) -> list[s3.LifecycleRule]:
    rules = [
        s3.LifecycleRule(
            id="abort-incomplete-uploads",
            abort_incomplete_multipart_upload_after=Duration.days(ABANDONED_UPLOAD_DAYS),
        ),
        # The data of a retired group, where that was chosen. It can be asked back from there, within hours.
        s3.LifecycleRule(
            id="archive-retired-groups",
            tag_filters={names.ARCHIVE_TAG: names.ARCHIVE_TAG_VALUE},
            transitions=[s3.Transition(storage_class=s3.StorageClass.DEEP_ARCHIVE, transition_after=Duration.days(0))],
        ),
    ]
    if earlier_versions_days:
        # A rule of its own, for every object: S3 takes no rule for delete markers that chooses objects by their tags (user guide,
        # "Elements to describe lifecycle actions"). A marker ends once no version is left under it.
        rules.append(
            s3.LifecycleRule(
                id="end-earlier-versions",
                noncurrent_version_expiration=Duration.days(earlier_versions_days),
                expired_object_delete_marker=True,
            )
        )
    return rules
