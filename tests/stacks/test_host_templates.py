"""What the host's stack holds: what is open, what it may do, how a new version comes in, and what is watched."""

import hashlib
import json
import tempfile
import zipfile
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Match, Template

from assets.render import Values
from stacks.site import application
from stacks.site.backup_stack import BackupStack
from stacks.site.host_stack import USER_DATA, HostStack, render
from tests.stacks.builders import ACCOUNT, REGION, site

ROOT = Path(__file__).resolve().parents[2]
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/cohort-host-boundary"
WEB_PORTS = [80, 443]


def host_stack(app, **fields):
    """Of a small checkout, as a template does not depend on what the application holds."""
    chosen = site(**fields)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("manage.py", "site/index.html", USER_DATA):
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((ROOT / name).read_bytes() if name == USER_DATA else name.encode())
        return HostStack(app, chosen, BackupStack(app, chosen), checkout=Path(folder))


def host_template(**fields):
    return Template.from_stack(host_stack(cdk.App(analytics_reporting=False), **fields))


@pytest.fixture(scope="module")
def template():
    return host_template()


@pytest.fixture(scope="module")
def balanced():
    return host_template(tls="acm", size="medium")


def launch_data(template):
    (found,) = template.find_resources("AWS::EC2::LaunchTemplate").values()
    return found["Properties"]["LaunchTemplateData"]


def values(template):
    """What CloudFormation fills into the user data."""
    return launch_data(template)["UserData"]["Fn::Base64"]["Fn::Sub"][1]


def groups(template):
    return {
        resource["Properties"]["GroupDescription"].split(":")[0]: resource["Properties"]
        for resource in template.find_resources("AWS::EC2::SecurityGroup").values()
    }


def alarms(template):
    return {
        resource["Properties"]["MetricName"]: resource["Properties"]
        for resource in template.find_resources("AWS::CloudWatch::Alarm").values()
    }


def test_everybody_comes_in_to_the_web_s_ports_and_to_no_other(template):
    (group,) = groups(template).values()
    inwards = group["SecurityGroupIngress"]
    assert [(inward["FromPort"], inward["ToPort"], inward["CidrIp"]) for inward in inwards] == [
        (port, port, "0.0.0.0/0") for port in WEB_PORTS
    ]
    assert {inward["IpProtocol"] for inward in (*inwards, *group["SecurityGroupEgress"])} == {"tcp"}
    template.resource_count_is("AWS::EC2::SecurityGroupIngress", 0)


def test_behind_a_load_balancer_the_host_is_reached_by_it_alone(balanced):
    host, front = groups(balanced)["The host of Cohort"], groups(balanced)["The load balancer of Cohort"]
    (inwards,) = host["SecurityGroupIngress"]
    assert "CidrIp" not in inwards
    assert (inwards["FromPort"], inwards["ToPort"]) == (80, 80)
    assert "Balancer" in json.dumps(inwards["SourceSecurityGroupId"])
    assert [item["FromPort"] for item in front["SecurityGroupIngress"]] == WEB_PORTS
    balanced.has_resource_properties("AWS::AutoScaling::AutoScalingGroup", {"TargetGroupARNs": [Match.any_value()]})


def test_nginx_believes_the_network_that_the_load_balancer_is_in(balanced):
    (vpc,) = balanced.find_resources("AWS::EC2::VPC").values()
    assert Values(domain="cohort.example.org", tls="acm").vpc == vpc["Properties"]["CidrBlock"]


def test_a_load_balancer_holds_aws_s_certificate_and_redirects_plain_http(balanced):
    balanced.has_resource_properties("AWS::CertificateManager::Certificate", {"DomainName": "cohort.example.org"})
    listeners = {
        resource["Properties"]["Port"]: resource["Properties"]
        for resource in balanced.find_resources("AWS::ElasticLoadBalancingV2::Listener").values()
    }
    assert listeners[80]["DefaultActions"][0]["RedirectConfig"]["Protocol"] == "HTTPS"
    assert "TLS13" in listeners[443]["SslPolicy"]
    balanced.has_resource_properties("AWS::ElasticLoadBalancingV2::TargetGroup", {"HealthCheckPath": "/readyz"})
    assert values(balanced)["TLS"] == "acm"
    assert values(balanced)["EIP_ALLOCATION_ID"] == ""


def test_a_certificate_that_exists_is_used():
    arn = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/0a1b"
    template = host_template(tls="acm", certificate_arn=arn)
    template.resource_count_is("AWS::CertificateManager::Certificate", 0)
    template.has_resource_properties("AWS::ElasticLoadBalancingV2::Listener", {"Certificates": [{"CertificateArn": arn}]})


def test_the_network_has_the_fewest_parts(template, balanced):
    assert len(template.find_resources("AWS::EC2::Subnet")) == 1
    assert len(balanced.find_resources("AWS::EC2::Subnet")) == 2
    for item in (template, balanced):
        item.resource_count_is("AWS::EC2::NatGateway", 0)
        item.has_resource_properties(
            "AWS::AutoScaling::AutoScalingGroup", {"VPCZoneIdentifier": [{"Ref": Match.string_like_regexp("Subnet1")}]}
        )
    template.resource_count_is("AWS::ElasticLoadBalancingV2::LoadBalancer", 0)


def test_the_machine_has_no_key_its_metadata_asks_for_a_token_and_its_disk_is_encrypted(template):
    data = launch_data(template)
    assert "KeyName" not in data
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    for disk in data["BlockDeviceMappings"]:
        assert disk["Ebs"]["Encrypted"] is True
        assert disk["Ebs"]["VolumeType"] == "gp3"
    image = template.find_parameters("*")[data["ImageId"]["Ref"]]
    assert image["Default"] == "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"


def test_the_size_chooses_the_machine(template, balanced):
    for one, size, kind in ((template, "small", "t4g.small"), (balanced, "medium", "t4g.large")):
        assert launch_data(one)["InstanceType"] == kind
        assert values(one)["SIZE"] == size


def test_a_new_version_replaces_the_machine_and_rolls_back_where_it_does_not_signal(template):
    (group,) = template.find_resources("AWS::AutoScaling::AutoScalingGroup").values()
    (name,) = template.find_resources("AWS::AutoScaling::AutoScalingGroup")
    (launch,) = template.find_resources("AWS::EC2::LaunchTemplate")
    assert (group["Properties"]["MinSize"], group["Properties"]["MaxSize"]) == ("1", "1")
    assert group["Properties"]["LaunchTemplate"]["Version"] == {"Fn::GetAtt": [launch, "LatestVersionNumber"]}
    assert group["CreationPolicy"]["ResourceSignal"]["Count"] == 1
    rolling = group["UpdatePolicy"]["AutoScalingRollingUpdate"]
    assert rolling["WaitOnResourceSignals"] is True
    # The volume can be at one machine alone, so the old one ends before the new one begins.
    assert rolling["MinInstancesInService"] == 0
    assert (values(template)["STACK_NAME"], values(template)["SIGNAL_RESOURCE"]) == ("Cohort-Host", name)


def test_the_host_is_told_all_that_its_first_start_asks_for_and_no_secret(template):
    text, given = launch_data(template)["UserData"]["Fn::Base64"]["Fn::Sub"]
    assert all(f"${{{name}}}" in text for name in given)
    assert given["APP_BUCKET"] == f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
    assert given["STATE_BUCKET"] == f"cohort-state-{ACCOUNT}-{REGION}"
    assert given["BACKUP_BUCKET"] == f"cohort-backups-{ACCOUNT}-{REGION}"
    assert given["BUCKET_PATTERNS"] == "cohort-*"
    assert given["EARLIER_VERSIONS_DAYS"] == ""
    chosen = launch_data(host_template(earlier_versions_days=30))["UserData"]["Fn::Base64"]["Fn::Sub"][1]
    assert chosen["EARLIER_VERSIONS_DAYS"] == "30"
    for name in ("DATA_VOLUME_ID", "EIP_ALLOCATION_ID", "SETTINGS_SECRET_ARN"):
        assert "Fn::ImportValue" in given[name]
    whole = json.dumps(template.to_json())
    assert "resolve:secretsmanager" not in whole
    template.resource_count_is("AWS::SecretsManager::Secret", 0)


@pytest.mark.parametrize(
    ("text", "says"), [("x: ${NOT_GIVEN}", "NOT_GIVEN"), ("x" * 20_000, "too long")], ids=["unknown name", "too long"]
)
def test_user_data_that_cannot_work_is_refused_here_and_not_on_the_host(text, says):
    with pytest.raises(ValueError, match=says):
        render(text, {"DOMAIN": "cohort.example.org"})


def test_both_roles_lie_under_the_host_s_path_with_its_boundary(template):
    roles = {
        resource["Properties"]["RoleName"]: resource["Properties"]
        for resource in template.find_resources("AWS::IAM::Role").values()
    }
    assert roles.keys() == {"cohort-host", "cohort-web"}
    for role in roles.values():
        assert (role["Path"], role["PermissionsBoundary"]) == ("/cohort-host/", BOUNDARY)
    (trust,) = roles["cohort-web"]["AssumeRolePolicyDocument"]["Statement"]
    # The worker fetches the web process's session; no service, and nobody else in the account, can.
    assert "RolesHost" in json.dumps(trust["Principal"])
    template.has_resource_properties("AWS::IAM::InstanceProfile", {"Path": "/cohort-host/"})
    for kind in ("AWS::IAM::User", "AWS::IAM::AccessKey", "AWS::IAM::Policy"):
        template.resource_count_is(kind, 0)


def test_the_web_process_can_neither_deploy_nor_change_iam(template):
    (web,) = template.find_resources("AWS::IAM::Role", {"Properties": {"RoleName": "cohort-web"}}).values()
    actions = [
        action
        for policy in web["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]
    assert actions
    assert not [action for action in actions if action == "*" or action.startswith(("iam:", "cloudformation:", "ec2:"))]


@pytest.mark.parametrize(
    ("metric", "threshold", "missing"),
    [
        ("SiteUp", 1, "breaching"),
        ("DiskUsedPercent", 80, "notBreaching"),
        ("FailedDeployments", 1, "notBreaching"),
        ("CertificateDaysLeft", 14, "notBreaching"),
        ("BackupAgeSeconds", 26 * 3600, "breaching"),
    ],
)
def test_what_goes_wrong_reaches_people(template, metric, threshold, missing):
    (topic,) = template.find_resources("AWS::SNS::Topic")
    alarm = alarms(template)[metric]
    assert (alarm["Namespace"], alarm["Threshold"], alarm["TreatMissingData"]) == ("Cohort", threshold, missing)
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}]
    template.has_resource_properties("AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": "platform@example.org"})


def test_aws_s_own_certificate_and_snapshots_are_watched_where_aws_tells_of_them(template, balanced):
    assert alarms(balanced)["DaysToExpiry"]["Namespace"] == "AWS/CertificateManager"
    assert "CertificateDaysLeft" not in alarms(balanced)
    assert alarms(template)["NumberOfBackupJobsFailed"]["Dimensions"] == [{"Name": "BackupVaultName", "Value": "cohort"}]


def test_cloudwatch_alone_publishes_alarms_and_over_tls(template):
    (policy,) = template.find_resources("AWS::SNS::TopicPolicy").values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert [statement["Principal"] for statement in statements if statement["Effect"] == "Allow"] == [
        {"Service": "cloudwatch.amazonaws.com"}
    ]
    assert any(statement["Effect"] == "Deny" and "aws:SecureTransport" in json.dumps(statement) for statement in statements)


def test_the_dashboard_shows_every_alarm(template):
    (dashboard,) = template.find_resources("AWS::CloudWatch::Dashboard").values()
    body = json.loads(dashboard["Properties"]["DashboardBody"])
    (shown,) = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    assert {arn.rsplit(":", 1)[1] for arn in shown} == {alarm["AlarmName"] for alarm in alarms(template).values()}
    places = {(widget["x"], widget["y"]) for widget in body["widgets"]}
    assert len(places) == len(body["widgets"])


def test_the_host_holds_no_data_and_no_code_of_its_own_in_the_account(template, balanced):
    for item in (template, balanced):
        for kind in ("AWS::S3::Bucket", "AWS::EC2::Volume", "AWS::Lambda::Function", "AWS::CloudFormation::CustomResource"):
            item.resource_count_is(kind, 0)


def test_everything_that_can_be_tagged_says_whose_it_is():
    template = host_template(tags={"cost-centre": "42"})
    wanted = {"project": "cohort", "managed-by": "cohort", "cost-centre": "42"}.items()
    tagged = [
        resource["Properties"]["Tags"]
        for resource in template.to_json()["Resources"].values()
        if "Tags" in resource.get("Properties", {})
    ]
    # What Auto Scaling makes of the launch template has no tags but the template's own.
    tagged += [specification["Tags"] for specification in launch_data(template)["TagSpecifications"]]
    assert len(tagged) > 10
    for tags in tagged:
        assert {tag["Key"]: tag["Value"] for tag in tags}.items() >= wanted


def test_the_host_comes_after_what_outlives_it(tmp_path):
    app = cdk.App(analytics_reporting=False, outdir=str(tmp_path))
    host_stack(app)
    app.synth()
    artifacts = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]
    assert "Cohort-Backup" in artifacts["Cohort-Host"]["dependencies"]


def test_the_application_s_checksum_is_that_of_the_zip_which_cdk_publishes(tmp_path):
    app = cdk.App(analytics_reporting=False, outdir=str(tmp_path))
    given = values(Template.from_stack(host_stack(app)))
    app.synth()
    assets = json.loads((tmp_path / "Cohort-Host.assets.json").read_text())["files"]
    (asset,) = [item for item in assets.values() if item["destinations"].popitem()[1]["objectKey"] == given["APP_KEY"]]
    assert asset["source"]["packaging"] == "file"
    assert hashlib.sha256((tmp_path / asset["source"]["path"]).read_bytes()).hexdigest() == given["APP_SHA256"]


def test_the_application_holds_what_runs_and_nothing_private(tmp_path, monkeypatch):
    # Another test may be building the documentation.
    monkeypatch.setattr(application, "PARTS", [part for part in application.PARTS if part != "site"])
    with zipfile.ZipFile(application.pack(tmp_path).path) as archive:
        names = set(archive.namelist())
    for name in ("manage.py", "requirements.txt", "package-lock.json", "cdk.json", "app.py", "stacks/group/synthesiser.py"):
        assert name in names
    assert any(name.startswith("assets/install/") for name in names)
    wrong = (".git", ".venv", "node_modules", "var", "tests", "cdk.out", "site.toml", "local_aws")
    assert not [name for name in names if name.split("/")[0] in wrong or "__pycache__" in name]


def test_the_same_checkout_gives_the_same_zip_and_a_change_another(tmp_path):
    root = tmp_path / "root"
    for name in (
        "manage.py",
        "web/pages.py",
        "web/__pycache__/pages.pyc",
        "var/secret",
        "site.toml",
        "site/index.html",
        "site/sitemap.xml",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (tmp_path / "out").mkdir()
    first = application.pack(tmp_path / "out", root)
    assert zipfile.ZipFile(first.path).namelist() == ["manage.py", "site/index.html", "web/pages.py"]
    (root / "manage.py").touch()
    (root / "var/secret").write_text("other")
    assert application.pack(tmp_path / "out", root).sha256 == first.sha256
    (root / "web/pages.py").write_text("changed")
    assert application.pack(tmp_path / "out", root).sha256 != first.sha256
