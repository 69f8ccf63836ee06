"""Monitoring of the site: alarms, their e-mail topic, and one dashboard. The host pushes its metrics (`manage.py metrics push`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.names import partition
from stacks.site.settings import AUTO_SCALING_GROUP, LOG_GROUP, VAULT, Site

NAMESPACE = "Cohort"
MINUTES, HOUR, DAY = 300, 3600, 86400
BACKUP_HOURS = 26
DISK_PERCENT = 80
CERTIFICATE_DAYS = 14
AT_LEAST, LESS, MORE = "GreaterThanOrEqualToThreshold", "LessThanThreshold", "GreaterThanThreshold"
# The dashboard's grid is 24 units wide (CloudWatch API reference, "Dashboard Body Structure and Syntax").
COLUMNS, WIDTH, HEIGHT = 3, 8, 6
ERRORS = (
    f"SOURCE '{LOG_GROUP}' | fields @timestamp, @logStream, @message | filter @message like /(?i)error/ "
    "| sort @timestamp desc | limit 50"
)


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One alarm: its metric, statistic, period in seconds, and comparison."""

    name: str
    description: str
    metric: str
    statistic: str
    comparison: str
    threshold: float
    period: int = MINUTES
    periods: int = 1
    namespace: str = NAMESPACE
    dimensions: tuple[tuple[str, str], ...] = ()
    # What no data means: by default that nothing is wrong, since SiteUp's absence tells when the host is gone.
    missing: str = "notBreaching"

    @property
    def alarm_name(self) -> str:
        """Name of the alarm in the account."""
        return f"cohort-{self.name}"


def alarm_specs(certificate_arn: str | None) -> list[AlarmSpec]:
    """Return the alarms of a site; its certificate is AWS's own if it has an ARN, and the host's otherwise."""
    return [
        # A new version replaces the host, which takes less than these 15 minutes.
        AlarmSpec(
            name="site-down",
            description="The site does not answer. For 15 minutes /readyz failed, or the host was silent: look at its logs.",
            metric="SiteUp",
            statistic="Minimum",
            comparison=LESS,
            threshold=1,
            periods=3,
            missing="breaching",
        ),
        AlarmSpec(
            name="disk-full",
            description=f"A disk of the host is {DISK_PERCENT} % full. Set data_gib in site.toml and deploy.",
            metric="DiskUsedPercent",
            statistic="Maximum",
            comparison=AT_LEAST,
            threshold=DISK_PERCENT,
        ),
        AlarmSpec(
            name="failed-deployments",
            description="Deployments failed. A group's stack waits for somebody; the site says what to do.",
            metric="FailedDeployments",
            statistic="Maximum",
            comparison=AT_LEAST,
            threshold=1,
        ),
        _certificate(certificate_arn),
        AlarmSpec(
            name="backup-age",
            description=f"The newest database backup is over {BACKUP_HOURS} hours old. On the host: manage.py backup create",
            metric="BackupAgeSeconds",
            statistic="Maximum",
            comparison=MORE,
            threshold=BACKUP_HOURS * HOUR,
            period=HOUR,
            missing="breaching",
        ),
        AlarmSpec(
            name="snapshot-failed",
            description="AWS Backup could not take a snapshot of the data volume. Its console says why.",
            metric="NumberOfBackupJobsFailed",
            namespace="AWS/Backup",
            dimensions=(("BackupVaultName", VAULT),),
            statistic="Sum",
            comparison=AT_LEAST,
            threshold=1,
            period=DAY,
        ),
    ]


def _certificate(arn: str | None) -> AlarmSpec:
    return AlarmSpec(
        name="certificate-expiry",
        description=f"The certificate ends in less than {CERTIFICATE_DAYS} days. It was not renewed by itself.",
        metric="DaysToExpiry" if arn else "CertificateDaysLeft",
        namespace="AWS/CertificateManager" if arn else NAMESPACE,
        dimensions=(("CertificateArn", arn),) if arn else (),
        statistic="Minimum",
        comparison=LESS,
        threshold=CERTIFICATE_DAYS,
        # AWS tells of its own twice a day.
        period=DAY if arn else HOUR,
    )


class Monitoring(Construct):
    """A topic that reaches the site's administrators by e-mail, the alarms, and the dashboard."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, certificate_arn: str | None) -> None:
        super().__init__(scope, construct_id)
        self.topic_arn = self._topic(site)
        alarms = alarm_specs(certificate_arn)
        for alarm in alarms:
            self._alarm(alarm)
        body = Stack.of(self).to_json_string({"widgets": dashboard(site, alarms)})
        cloudwatch.CfnDashboard(self, "Dashboard", dashboard_name="cohort", dashboard_body=body)

    def _topic(self, site: Site) -> str:
        topic = sns.Topic(self, "Alarms", topic_name="cohort-alarms", display_name="Cohort", enforce_ssl=True)
        # A topic's own policy replaces the one that lets everything in the account publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": site.account}},
            )
        )
        sns.CfnSubscription(self, "Email", topic_arn=topic.topic_arn, protocol="email", endpoint=site.email)
        CfnOutput(self, "Topic", value=topic.topic_arn, description="Alarms; further addresses may subscribe")
        return topic.topic_arn

    def _alarm(self, alarm: AlarmSpec) -> None:
        dimensions = [cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value) for name, value in alarm.dimensions]
        cloudwatch.CfnAlarm(
            self,
            alarm.name,
            alarm_name=alarm.alarm_name,
            alarm_description=alarm.description,
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            dimensions=dimensions or None,
            statistic=alarm.statistic,
            comparison_operator=alarm.comparison,
            threshold=alarm.threshold,
            period=alarm.period,
            evaluation_periods=alarm.periods,
            treat_missing_data=alarm.missing,
            alarm_actions=[self.topic_arn],
            ok_actions=[self.topic_arn],
        )


def dashboard(site: Site, alarms: Sequence[AlarmSpec]) -> list[dict[str, Any]]:
    """Return the dashboard's widgets: every alarm at a glance, a graph of each, the machine, and the latest errors."""
    prefix = f"arn:{partition(site.region)}:cloudwatch:{site.region}:{site.account}:alarm:"
    machine = ["AutoScalingGroupName", AUTO_SCALING_GROUP]
    graphs = [_graph(site, alarm.description.split(".")[0], _series(alarm), limit=alarm.threshold) for alarm in alarms]
    graphs += [
        _graph(site, "Processor, %", ["AWS/EC2", "CPUUtilization", *machine, {"stat": "Average"}]),
        _graph(site, "Processor credits left", ["AWS/EC2", "CPUCreditBalance", *machine, {"stat": "Minimum"}]),
    ]
    placed = [
        widget | {"x": number % COLUMNS * WIDTH, "y": 2 + number // COLUMNS * HEIGHT, "width": WIDTH, "height": HEIGHT}
        for number, widget in enumerate(graphs)
    ]
    overview = {"title": "Alarms", "alarms": [prefix + alarm.alarm_name for alarm in alarms]}
    below = 2 + (len(graphs) + COLUMNS - 1) // COLUMNS * HEIGHT
    errors = {"title": "Latest errors", "region": site.region, "view": "table", "query": ERRORS}
    return [
        {"type": "alarm", "x": 0, "y": 0, "width": COLUMNS * WIDTH, "height": 2, "properties": overview},
        *placed,
        {"type": "log", "x": 0, "y": below, "width": COLUMNS * WIDTH, "height": HEIGHT, "properties": errors},
    ]


def _series(alarm: AlarmSpec) -> list[Any]:
    dimensions = [word for dimension in alarm.dimensions for word in dimension]
    return [alarm.namespace, alarm.metric, *dimensions, {"stat": alarm.statistic, "period": alarm.period}]


def _graph(site: Site, title: str, series: list[Any], *, limit: float | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = {"title": title, "region": site.region, "view": "timeSeries", "metrics": [series]}
    if limit is not None:
        properties["annotations"] = {"horizontal": [{"label": "Alarm", "value": limit}]}
    return {"type": "metric", "properties": properties}
