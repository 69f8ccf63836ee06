"""A new host's first start, once its release is verified and unpacked: starts the site, and signals the outcome to CloudFormation.

Every step may be run again: sudo python3 -m assets.install.boot, in /opt/cohort/releases/<checksum>.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping

from assets.install import certificate, install, settings_files, users, volume
from assets.install.aws import Aws
from assets.install.host import Failed, host_path, host_values, log, run, write

AGENT_CONFIG = "/etc/cohort/cloudwatch-agent.json"
Step = tuple[str, Callable[[], None]]


def main() -> None:
    """Take every step; stop at the first that fails, signal CloudFormation, and end with status 1."""
    os.umask(0o022)
    host = host_values()
    aws = Aws(host["REGION"])
    failure = run_steps(steps(host, aws))
    aws.tell(host["LOG_GROUP"], failure or f"Cohort {host['APP_SHA256'][:12]} serves {host['DOMAIN']}.")
    try:
        if host["SIGNAL_RESOURCE"]:
            aws.signal(host["STACK_NAME"], host["SIGNAL_RESOURCE"], success=not failure)
    except Failed as unheard:
        sys.exit(f"cohort: {unheard}")
    if failure:
        sys.exit(1)


def steps(host: Mapping[str, str], aws: Aws) -> list[Step]:
    """Return the steps in their order."""

    def settings() -> None:
        settings_files.write_settings(host, aws.secret_settings(host["SETTINGS_SECRET_ARN"]))

    def data_volume() -> None:
        aws.attach(host["DATA_VOLUME_ID"])
        volume.make_file_system(volume.device_of(host["DATA_VOLUME_ID"]))
        volume.mount()

    def address() -> None:
        # Behind a load balancer there is none.
        if host["EIP_ALLOCATION_ID"]:
            aws.take_address(host["EIP_ALLOCATION_ID"])

    return [
        ("logs", lambda: watch(host)),
        ("users", users.make_users),
        ("data volume", data_volume),
        ("folders", users.make_folders),
        ("settings", settings),
        ("address", address),
        ("certificate at hand", lambda: certificate.ensure_certificate(host)),
        ("release", lambda: install.install(host["APP_SHA256"])),
        ("certificate", lambda: certificate.obtain_certificate(host)),
    ]


def run_steps(todo: list[Step]) -> str:
    """Take the steps in turn. Returns the reason of the first failure, or an empty string."""
    for name, step in todo:
        log(f"{name} ...")
        began = time.monotonic()
        try:
            step()
        except Failed as failure:
            log(f"{name}: FAILED: {failure}")
            return f"The host's first start failed at the step '{name}': {failure}"
        except Exception as error:
            # CloudFormation must be told, whatever it was.
            traceback.print_exc()
            log(f"{name}: FAILED: {error!r}")
            return f"The host's first start failed at the step '{name}': {error!r}. cloud-init-output.log says more."
        log(f"{name}: done in {time.monotonic() - began:.0f} s")
    return ""


def watch(host: Mapping[str, str]) -> None:
    """Have logs and the file systems' fill sent to CloudWatch. A site without that is better than none."""
    template = host_path(f"/opt/cohort/releases/{host['APP_SHA256']}/assets")
    write(host_path(AGENT_CONFIG), (template / "cloudwatch/agent.json").read_text().replace("@LOG_GROUP@", host["LOG_GROUP"]))
    try:
        run("bash", template / "install/install-cloudwatch-agent.sh", host["REGION"], host_path(AGENT_CONFIG))
    except Failed as failure:
        log(f"logs are not sent to CloudWatch, since its agent was not installed: {failure}")


if __name__ == "__main__":
    main()
