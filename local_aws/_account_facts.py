"""Facts of the embedded AWS beyond a template, for the checks of `local_aws.rights`."""

from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import acm, alb, backup, ec2, iam, secretsmanager, tagging

from local_aws.rights.changes import AccountFacts, Properties


class EmbeddedAccount(AccountFacts):
    """The account that a request is in."""

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of an IAM principal by its name, or of an address."""
        if kind == "elastic-ip":
            allocation = next((identifier for identifier, held in ec2._addresses.items() if held["PublicIp"] == name), "")
            return f"arn:aws:ec2:{get_region()}:{get_account_id()}:elastic-ip/{allocation}" if allocation else ""
        records: dict[str, Any] = {
            "role": iam._roles,
            "user": iam._users,
            "group": iam._groups,
            "instance-profile": iam._instance_profiles,
        }
        return str((records.get(kind, {}).get(name) or {}).get("Arn", ""))

    def tags(self, arn: str) -> dict[str, str]:
        """Return the tags of any resource."""
        _, _, service, _, _, rest = arn.split(":", 5) if arn.count(":") >= 5 else ["", "", "", "", "", ""]
        look = TAG_READERS.get(service)
        held = look(arn, rest) if look else tagging.resource_tags(arn)
        return {key: value for key, value in _pairs(held) if not key.startswith("aws:")}

    def launch_template(self, wanted: Properties) -> Properties:
        """Return the launch data of the version that an Auto Scaling group names."""
        template = ec2._launch_templates.get(wanted.get("LaunchTemplateId", ""))
        if template is None:
            return {}
        number = {"$Latest": template["LatestVersionNumber"], "$Default": template["DefaultVersionNumber"]}.get(
            str(wanted.get("Version")), wanted.get("Version")
        )
        launch_data = (
            version["LaunchTemplateData"] for version in template["Versions"] if str(version["VersionNumber"]) == str(number)
        )
        data: Properties = next(launch_data, {})
        return data

    def role_of_profile(self, arn: str) -> str:
        """Return the ARN of the role in an instance profile."""
        profile = iam._instance_profiles.get(arn.rpartition("/")[2]) or {}
        roles = profile.get("Roles") or []
        name = roles[0] if roles else ""
        return self.arn("role", name if isinstance(name, str) else name.get("RoleName", ""))


def _ec2_tags(arn: str, rest: str) -> Any:
    return ec2._tags.get(rest.partition("/")[2])


def _backup_tags(arn: str, rest: str) -> Any:
    kind, _, name = rest.partition(":")
    vault = kind == "backup-vault"
    record = (backup._vaults if vault else backup._plans).get(name) or {}
    return record.get("BackupVaultTags" if vault else "Tags")


TAG_READERS: dict[str, Callable[[str, str], Any]] = {
    "acm": lambda arn, rest: (acm._certificates.get(arn) or {}).get("Tags"),
    "backup": _backup_tags,
    "ec2": _ec2_tags,
    "elasticloadbalancing": lambda arn, rest: alb._tags.get(arn),
    "secretsmanager": lambda arn, rest: next(
        (secret.get("Tags") for secret in secretsmanager._secrets.values() if secret.get("ARN") == arn), None
    ),
}


def _pairs(held: Any) -> list[tuple[str, str]]:
    if isinstance(held, dict):
        return [(str(key), str(value)) for key, value in held.items()]
    return [(str(tag["Key"]), str(tag.get("Value", ""))) for tag in held or []]
