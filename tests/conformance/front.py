"""Cohort's front doors on this machine: its commands, its pages and API for whoever is signed in, and the `cdk` beside it."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.calls import recorded
from tests.conformance.targets import Target, clean_environment
from tests.e2e.mail import link_in_mail
from tests.e2e.site import COMMAND_SECONDS, ROOT, Finished, Site
from tests.e2e.visitor import Answer, Visitor

PASSWORD = "correct horse battery staple 9"
ADMIN_SECONDS = 1800


class Refused(AssertionError):
    """A command ended otherwise than it should. The message has what it said."""


class Front(Site):
    """`scripts/up.py` on an AWS that is there already, with the rights of `operator` alone, and the doors to it."""

    def __init__(self, var: Path, target: Target, operator: dict[str, str]) -> None:
        super().__init__(var, EMBEDDED_AWS="0", DEMO="0")
        used = {name: value for name, value in target.environment.items() if name in ("AWS_ENDPOINT_URL", "AWS_REGION")}
        keys = {"AWS_ACCESS_KEY_ID": operator["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": operator["SecretAccessKey"]}
        self._base = (
            recorded(clean_environment(target)) | {"VAR_DIR": str(var)} | used | {"AWS_DEFAULT_REGION": target.region} | keys
        )
        if per_stack := target.holders_per_stack:
            self._settings["COHORT_HOLDERS_PER_STACK"] = str(per_stack)

    def must(self, *arguments: str) -> Any:
        """Run a command that has to succeed, and return its JSON. Raises Refused."""
        done = self.manage(*arguments, "--json")
        if done.status:
            raise Refused(f"`manage.py {' '.join(arguments)}` ended with {done.status}: {done.err.strip() or done.out.strip()}")
        return done.document

    def visitor(self, email: str) -> Visitor:
        """A person who sets a password by the link that they are sent, and signs in."""
        visitor = Visitor(self.url)
        visitor.ask("POST", "/accounts/password/reset/", form={"email": email})
        link = link_in_mail(self, email, "assword").removeprefix(self.url)
        # The link leads to the form by way of an address without the secret.
        form = visitor.ask("GET", link).location
        answer = visitor.ask("POST", form, form={"password1": PASSWORD, "password2": PASSWORD})
        if answer.status != 302:
            raise Refused(f"Setting a password ended with {answer.status}.")
        visitor = Visitor(self.url)
        visitor.sign_in(email, PASSWORD)
        return visitor

    def settle(self, seconds: float) -> None:
        """Return when nothing waits or runs any more. Raises Refused where something failed or takes longer."""
        deadline = time.monotonic() + seconds
        while open_ones := [
            deployment for deployment in self.must("deployment", "list") if deployment["state"] in ("queued", "running")
        ]:
            if time.monotonic() > deadline:
                raise Refused(f"After {seconds:.0f} s {len(open_ones)} deployments are not done.")
            time.sleep(0.3)


class Administrator:
    """Whoever bootstraps the account: `python -m stacks.bootstrap` and `cdk`, with the target's own rights."""

    def __init__(self, target: Target, folder: Path) -> None:
        self._environment = clean_environment(target) | target.environment | {"VAR_DIR": str(folder)}

    def bootstrap(self, *arguments: str) -> str:
        """Run `python -m stacks.bootstrap`, and return what it said. Raises Refused."""
        return self._must([sys.executable, "-m", "stacks.bootstrap", *arguments])

    def cdk(self, *arguments: str) -> str:
        """Run the `cdk` of this checkout, and return what it said. Raises Refused."""
        return self._must([sys.executable, "scripts/cdk_command.py", *arguments])

    def _must(self, command: Sequence[str]) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=ADMIN_SECONDS, check=False
        )
        said = done.stdout + done.stderr
        if done.returncode:
            raise Refused(f"`{Path(command[0]).name} {' '.join(command[1:])}` ended with {done.returncode}: {said[-800:]}")
        return said


def document(answer: Answer) -> Any:
    """What the site said, which must be a success. Raises Refused."""
    if answer.status != 200:
        raise Refused(f"The site answered {answer.status}: {answer.text[:300]}")
    return answer.document


__all__ = ["COMMAND_SECONDS", "PASSWORD", "Administrator", "Finished", "Front", "Refused", "document"]
