"""AWS calls of the boot script, with Ubuntu's own boto3 and the host's role."""

import json
import time
from contextlib import suppress
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from assets.install.host import Failed, host_path, log

INSTANCE_ID_FILE = "/var/lib/cloud/data/instance-id"
ATTACH_AS = "/dev/sdf"
# The instance that held the volume is being ended, which takes minutes.
FREE_SECONDS = 900
ATTACH_SECONDS = 180
POLL_SECONDS = 5.0
MAX_EVENT_CHARACTERS = 200_000


class Aws:
    """AWS, for one host."""

    def __init__(self, region: str) -> None:
        self._region = region
        self.instance = host_path(INSTANCE_ID_FILE).read_text().strip()

    def attach(self, volume: str, *, free_seconds: float = FREE_SECONDS, look_seconds: float = POLL_SECONDS) -> None:
        """Attach the volume to this instance and return when AWS says that it is. Raises Failed.

        A volume of another instance is waited for and never taken away: that may still be writing.
        """
        ec2 = self._client("ec2")
        deadline, attach_until, last_state = time.monotonic() + free_seconds, 0.0, ""
        while True:
            try:
                (volume_state,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
                holders = {attachment["InstanceId"]: attachment["State"] for attachment in volume_state.get("Attachments", [])}
                if holders.get(self.instance) == "attached":
                    log(f"the data volume {volume} is attached")
                    return
                if volume_state["State"] == "available":
                    ec2.attach_volume(VolumeId=volume, InstanceId=self.instance, Device=ATTACH_AS)
                    attach_until = time.monotonic() + ATTACH_SECONDS
            except (BotoCoreError, ClientError) as error:
                raise Failed(f"The data volume {volume} was not attached: {error} Nothing on it was changed.") from None
            if (state := f"{volume_state['State']} ({', '.join(holders) or 'at no instance'})") != last_state:
                log(f"waiting for the data volume {volume}: it is {state}")
                last_state = state
            if time.monotonic() > max(deadline, attach_until):
                raise Failed(
                    f"The data volume {volume} is still {state} after {free_seconds:.0f} s. It was not taken away from there, "
                    "since that could damage it. Stop that instance, wait until the volume is available, and deploy again."
                )
            time.sleep(look_seconds)

    def take_address(self, allocation: str) -> None:
        """Associate the site's address with this instance. Raises Failed."""
        try:
            self._client("ec2").associate_address(AllocationId=allocation, InstanceId=self.instance, AllowReassociation=True)
        except (BotoCoreError, ClientError) as error:
            raise Failed(f"The address {allocation} was not given to this instance: {error}") from None
        log(f"the address {allocation} leads here")

    def secret_settings(self, secret: str) -> dict[str, str]:
        """Return the settings that Secrets Manager keeps. Raises Failed, which names no value."""
        try:
            document = json.loads(self._client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
        except (BotoCoreError, ClientError) as error:
            raise Failed(f"The settings in {secret} were not read: {error}") from None
        except ValueError:
            raise Failed(f'The settings in {secret} are no JSON. Write them as an object: {{"SECRET_KEY": ...}}') from None
        if not isinstance(document, dict):
            raise Failed(f'The settings in {secret} are no JSON object. Write them as one: {{"SECRET_KEY": ...}}')
        return {name: str(value) for name, value in document.items()}

    def tell(self, group: str, message: str) -> None:
        """Write a line to the log group at once: an instance that failed is ended before an agent sends anything."""
        logs, stream = self._client("logs"), f"{self.instance}/boot"
        try:
            with suppress(logs.exceptions.ResourceAlreadyExistsException):
                logs.create_log_stream(logGroupName=group, logStreamName=stream)
            event = {"timestamp": int(time.time() * 1000), "message": message[:MAX_EVENT_CHARACTERS]}
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
        except (BotoCoreError, ClientError) as error:
            log(f"CloudWatch was not told: {error}")

    def signal(self, stack: str, resource: str, *, success: bool) -> None:
        """Signal the outcome to CloudFormation (as cfn-signal does). Raises Failed."""
        status = "SUCCESS" if success else "FAILURE"
        try:
            self._client("cloudformation").signal_resource(
                StackName=stack, LogicalResourceId=resource, UniqueId=self.instance, Status=status
            )
        except (BotoCoreError, ClientError) as error:
            raise Failed(f"CloudFormation was not told {status}: {error}") from None
        log(f"told CloudFormation: {status}")

    def _client(self, service: str) -> Any:
        return boto3.client(service, region_name=self._region)  # type: ignore[call-overload]
