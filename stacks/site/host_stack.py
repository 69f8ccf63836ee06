"""The stack of the host: a network, one machine that is replaced and never repaired, its two roles, and its monitoring.

An Auto Scaling group of one carries the machine. A new version of the application (or of Ubuntu's image) is a new machine: the
old one ends, the new one takes the data volume and the address, and signals CloudFormation when the site answers. If it signals a
failure, or nothing in time, CloudFormation rolls back to the version before.
"""

import re
import tempfile
from pathlib import Path
from typing import Any

from aws_cdk import (
    Annotations,
    CfnAutoScalingRollingUpdate,
    CfnCreationPolicy,
    CfnOutput,
    CfnParameter,
    CfnResourceSignal,
    CfnTag,
    CfnUpdatePolicy,
    Environment,
    Fn,
    Stack,
)
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from stacks import _acknowledged, names
from stacks._tagging import add_tags
from stacks.site import host_policies
from stacks.site.application import Archive, pack
from stacks.site.backup_stack import BackupStack
from stacks.site.monitoring import Monitoring
from stacks.site.network import Network
from stacks.site.settings import AUTO_SCALING_GROUP, HOST_PATH, HOST_STACK, LOG_GROUP, ROOT, Site
from stacks.tags import with_own_tags

USER_DATA = "assets/cloud-init/user-data.yaml"
# EC2 user guide, "Run commands at launch": before it is written in base64.
USER_DATA_BYTES = 16_384
PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
# Canonical's own parameter (Ubuntu on AWS, "Find Ubuntu images with the Amazon SSM Parameter Store").
IMAGE = "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
ROOT_GIB = 20
# The resource that the machine signals about, by its name in the template.
SIGNAL_RESOURCE = "Host"
# The volume may take 15 minutes to leave the machine before; packages and the migration come after that.
BOOT_TIME = "PT40M"
WEB_SESSION_SECONDS = 3600
# What Auto Scaling must not do of its own accord while CloudFormation replaces the machine.
SUSPENDED = ["AlarmNotification", "AZRebalance", "HealthCheck", "ReplaceUnhealthy", "ScheduledActions"]


class HostStack(Stack):
    """The site's one machine and what it alone needs, from the site's settings and a checkout. It holds no data."""

    def __init__(self, scope: Construct, site: Site, kept: BackupStack, *, checkout: Path = ROOT) -> None:
        super().__init__(
            scope,
            HOST_STACK,
            env=Environment(account=site.account, region=site.region),
            description="The host of Cohort",
        )
        # What the host uses cannot be replaced under it: CloudFormation refuses until the host is destroyed.
        self.node.set_context("@aws-cdk/core:defaultCrossStackReferences", "strong")
        self.add_stack_dependency(kept)
        add_tags(self, site.tags)
        network = Network(self, "Network", site=site)
        roles = Roles(self, "Roles", site=site)
        archive, asset = _application(self, checkout)
        values = {
            "APP_BUCKET": asset.s3_bucket_name,
            "APP_KEY": asset.s3_object_key,
            "APP_SHA256": archive.sha256,
            "REGION": site.region,
            "ACCOUNT": site.account,
            "DOMAIN": site.domain,
            "EMAIL": site.email,
            "TLS": site.tls,
            "SIZE": site.size,
            "DATA_VOLUME_ID": kept.data_volume_id,
            "EIP_ALLOCATION_ID": kept.address_id,
            "WEB_ROLE_ARN": roles.web_arn,
            "SETTINGS_SECRET_ARN": kept.settings_secret_arn,
            "STATE_BUCKET": site.state_bucket,
            "BACKUP_BUCKET": site.backup_bucket,
            "BUCKET_PATTERNS": " ".join(site.bucket_patterns),
            "EARLIER_VERSIONS_DAYS": str(site.earlier_versions_days or ""),
            "LOG_GROUP": LOG_GROUP,
            "STACK_NAME": HOST_STACK,
            "SIGNAL_RESOURCE": SIGNAL_RESOURCE,
        }
        user_data = render((checkout / USER_DATA).read_text("utf-8"), values)
        Machine(self, "Machine", site=site, network=network, roles=roles, user_data=user_data)
        balancer = network.balancer
        Monitoring(self, "Monitoring", site=site, certificate_arn=balancer.certificate if balancer else None)
        CfnOutput(self, "Version", value=archive.sha256, description="SHA-256 of the application that the host runs")


class Roles(Construct):
    """The host's roles: the machine's own, which the worker has, and a lesser one that the web process is given."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site) -> None:
        super().__init__(scope, construct_id)
        host = _role(
            self,
            "Host",
            site=site,
            name="cohort-host",
            description="The worker of Cohort, and the host itself",
            principal={"Service": f"ec2.{names.dns_suffix(site.region)}"},
            document=host_policies.worker_policy(site),
        )
        web = _role(
            self,
            "Web",
            site=site,
            name="cohort-web",
            description="The web process of Cohort: it can neither deploy nor change IAM",
            principal={"AWS": host.attr_arn},
            document=host_policies.web_policy(site),
            max_session_duration=WEB_SESSION_SECONDS,
        )
        self.web_arn = web.attr_arn
        self.profile_arn = iam.CfnInstanceProfile(
            self, "Profile", instance_profile_name="cohort-host", path=HOST_PATH, roles=[host.ref]
        ).attr_arn


class Machine(Construct):
    """The launch template, and the Auto Scaling group of one that uses it."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, network: Network, roles: Roles, user_data: str) -> None:
        super().__init__(scope, construct_id)
        template = ec2.CfnLaunchTemplate(
            self,
            "Template",
            launch_template_name="cohort-host",
            launch_template_data=_launch_data(self, site, network, roles, user_data),
            tag_specifications=[
                ec2.CfnLaunchTemplate.LaunchTemplateTagSpecificationProperty(resource_type="launch-template", tags=_tags(site))
            ],
        )
        group = autoscaling.CfnAutoScalingGroup(
            self,
            "Group",
            auto_scaling_group_name=AUTO_SCALING_GROUP,
            min_size="1",
            max_size="1",
            # The data volume's own zone: a load balancer has a second one, which the host never moves to.
            vpc_zone_identifier=network.subnets[:1],
            launch_template=autoscaling.CfnAutoScalingGroup.LaunchTemplateSpecificationProperty(
                launch_template_id=template.ref, version=template.attr_latest_version_number
            ),
            # EC2's own checks replace a broken machine; a site that answers badly is for the alarm, not for a new machine.
            health_check_type="EC2",
            target_group_arns=[network.balancer.target] if network.balancer else None,
        )
        group.override_logical_id(SIGNAL_RESOURCE)
        for route in network.internet_routes:
            group.add_resource_dependency(route)
        group.cfn_options.creation_policy = CfnCreationPolicy(resource_signal=CfnResourceSignal(count=1, timeout=BOOT_TIME))
        group.cfn_options.update_policy = CfnUpdatePolicy(
            auto_scaling_rolling_update=CfnAutoScalingRollingUpdate(
                # The volume is at one machine at a time, so the old one ends first.
                min_instances_in_service=0,
                max_batch_size=1,
                wait_on_resource_signals=True,
                pause_time=BOOT_TIME,
                suspend_processes=SUSPENDED,
            )
        )
        _acknowledged.acknowledge_group_of_one(group)


def render(template: str, values: dict[str, str]) -> str:
    """Return the user data, its placeholders filled by CloudFormation. Raises ValueError for a placeholder without a value."""
    wanted = set(PLACEHOLDER.findall(template))
    if unknown := sorted(wanted - values.keys()):
        raise ValueError(f"The host's user data asks for {', '.join(unknown)}, which the stack does not give.")
    if len(template.encode()) > USER_DATA_BYTES * 3 // 4:
        raise ValueError("The host's user data is too long: move what it does into assets/install.")
    return Fn.base64(Fn.sub(template, {name: value for name, value in values.items() if name in wanted}))


def _launch_data(
    scope: Construct, site: Site, network: Network, roles: Roles, user_data: str
) -> ec2.CfnLaunchTemplate.LaunchTemplateDataProperty:
    image = CfnParameter(
        Stack.of(scope),
        "Image",
        type="AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
        default=IMAGE,
        description="Ubuntu 24.04 LTS for ARM, as Canonical publishes it",
    )
    template = ec2.CfnLaunchTemplate
    return template.LaunchTemplateDataProperty(
        image_id=image.value_as_string,
        instance_type=site.instance_type,
        iam_instance_profile=template.IamInstanceProfileProperty(arn=roles.profile_arn),
        # Sessions by token alone, and only from the machine itself: no container or proxy on it is handed the role.
        metadata_options=template.MetadataOptionsProperty(
            http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1, instance_metadata_tags="disabled"
        ),
        block_device_mappings=[
            template.BlockDeviceMappingProperty(
                device_name="/dev/sda1",
                ebs=template.EbsProperty(volume_type="gp3", volume_size=ROOT_GIB, encrypted=True, delete_on_termination=True),
            )
        ],
        # An address of its own for the first minutes, in which the boot script has yet to take the site's.
        network_interfaces=[
            template.NetworkInterfaceProperty(
                device_index=0, associate_public_ip_address=True, delete_on_termination=True, groups=[network.host_group]
            )
        ],
        user_data=user_data,
        tag_specifications=[
            template.TagSpecificationProperty(resource_type=kind, tags=[CfnTag(key="Name", value="cohort"), *_tags(site)])
            for kind in ("instance", "volume", "network-interface")
        ],
    )


def _application(scope: Construct, checkout: Path) -> tuple[Archive, assets.Asset]:
    if not (checkout / "site").is_dir():
        Annotations.of(scope).add_warning_v2(
            "cohort:documentation", "The documentation is not built, so /docs/ will be empty: run `make docs` first."
        )
    with tempfile.TemporaryDirectory() as folder:
        archive = pack(Path(folder), checkout)
        # CDK copies the file into its assembly at once.
        return archive, assets.Asset(scope, "Application", path=str(archive.path))


def _role(
    scope: Construct,
    construct_id: str,
    *,
    site: Site,
    name: str,
    description: str,
    principal: dict[str, str],
    document: dict[str, Any],
    **more: Any,
) -> iam.CfnRole:
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    role = iam.CfnRole(
        scope,
        construct_id,
        role_name=name,
        path=HOST_PATH,
        description=description,
        permissions_boundary=site.boundary_arn,
        assume_role_policy_document={"Version": "2012-10-17", "Statement": [trust]},
        policies=[iam.CfnRole.PolicyProperty(policy_name=name, policy_document=document)],
        **more,
    )
    _acknowledged.acknowledge_host_rights(role, document)
    return role


def _tags(site: Site) -> list[CfnTag]:
    """Return the stack's tags for what Auto Scaling makes: CloudFormation's own do not reach it."""
    return [CfnTag(key=key, value=value) for key, value in sorted(with_own_tags(site.tags).items())]
