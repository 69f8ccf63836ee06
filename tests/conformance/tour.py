"""One run on its way: the target, the site on it, and what it has made so far."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.asking import allowed, refused, seen
from tests.conformance.front import Administrator, Front
from tests.conformance.journal import Journal
from tests.conformance.targets import Target
from tests.e2e.visitor import Visitor

# The second group's name begins with the first's: what is not cut at the slash lets one into the other.
GROUP, OTHER = "conform-lab", "conform-lab-b"
ANALYSIS, ELSEWHERE = "conform", "conform-elsewhere"
MANAGER, FEDERATED, KEYS = "head@example.org", "fed@example.org", "key@example.org"
THEIR_FEDERATED, THEIR_KEYS = "their-fed@example.org", "their-key@example.org"
LEAVES_FEDERATED, LEAVES_KEYS = "leaves-fed@example.org", "leaves-key@example.org"
# Whose session or key asks, as the rows call it.
KINDS = {"key holder": KEYS, "federated member": FEDERATED}


@dataclass
class Tour:
    """What the steps share. `bucket` is of the analysis that both groups have, `elsewhere` of the other group's alone."""

    target: Target
    journal: Journal
    folder: Path
    run: str
    with_host: bool = False
    domain: str = "cohort.example.org"
    front_or_none: Front | None = None
    visitors: dict[str, Visitor] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bucket, self.elsewhere = (f"cohort-conformance-{self.run}-{name}" for name in ("data", "elsewhere"))
        self.var = self.folder / "var"

    @property
    def administrator(self) -> Administrator:
        """The account's administrator at a terminal."""
        return Administrator(self.target, self.folder / "administrator")

    @property
    def front(self) -> Front:
        """The site. It runs once the step that starts it is done."""
        assert self.front_or_none is not None, "the site was not started"
        return self.front_or_none

    def close(self) -> None:
        """Stop the site: what is removed afterwards must not come back."""
        if self.front_or_none is not None:
            self.front_or_none.stop()
            self.front_or_none = None

    def visitor(self, email: str) -> Visitor:
        """A browser of this person's, signed in. Setting their password ends the sessions that were opened for them before."""
        if email not in self.visitors:
            self.visitors[email] = self.front.visitor(email)
            for name in [name for name in self.kept if name.startswith("s3 ") and name.endswith(f" {email}")]:
                del self.kept[name]
        return self.visitors[email]

    def settle(self) -> None:
        """Return when nothing is under way, and IAM's delay after it is over."""
        self.front.settle(self.target.patience + 300)
        self.let_iam_settle()

    def let_iam_settle(self) -> None:
        """Wait until what was changed must be seen by everybody."""
        time.sleep(self.target.steady)

    def s3(self, email: str, group: str = GROUP) -> Any:
        """S3 as this member, with the credentials that the command hands out; asked for once, until `forget`."""
        name = f"s3 {group} {email}"
        if name not in self.kept:
            self.kept[name] = self.client("s3", email, group)
        return self.kept[name]

    def client(self, service: str, email: str, group: str = GROUP) -> Any:
        """A service as this member, with fresh credentials."""
        return self.target.client_as(service, self.credentials(email, group))

    def credentials(self, email: str, group: str = GROUP) -> dict[str, str]:
        """What `manage.py member credentials` prints, once it does: within IAM's delay it says that access is being made ready."""
        deadline = time.monotonic() + self.target.patience
        while (done := self.front.manage("member", "credentials", group, email)).status and time.monotonic() < deadline:
            time.sleep(0.3)
        assert done.status == 0, done.err
        return done.document  # type: ignore[no-any-return]

    def forget(self, email: str, group: str = GROUP) -> None:
        """Ask for this member's credentials anew the next time."""
        self.kept.pop(f"s3 {group} {email}", None)

    def allowed(self, call: Any) -> Any:
        """As `asking.allowed` says, with the target's patience."""
        return allowed(call, self.target.patience)

    def refused(self, what: str, call: Any) -> None:
        """As `asking.refused` says, with the target's patience."""
        refused(what, call, self.target.patience)

    def seen(self, what: str, is_so: Callable[[], bool]) -> None:
        """As `asking.seen` says, with the target's patience."""
        seen(what, is_so, self.target.patience)

    def log(self, text: str) -> None:
        """Keep a failure's whole story beside the run."""
        with (self.folder / "failures.log").open("a") as file:
            file.write(text + "\n")
