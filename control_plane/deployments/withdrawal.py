"""Withdrawal of a cancelled deployment's changes, so that no later run brings them. What takes access away goes on."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.lockout_words import describe_unchanged
from control_plane.deployments.models import Change, Deployment, Stack, StoredManifest
from control_plane.deployments.plan_words import MAX_SHOWN_CHANGES, people_rows
from control_plane.deployments.plans import people_changes
from control_plane.deployments.requests import lock, queue_deployment
from control_plane.deployments.signals import deployment_cancelled

# Changes that a sentence names; the others are only counted.
MAX_NAMED_CHANGES = 10
GOES_ON = "Going on with what cannot be cancelled"


@dataclass(frozen=True)
class Withdrawal:
    """Changes that were withdrawn and that go on, in words, and the deployment that brings the latter."""

    withdrawn: tuple[str, ...] = ()
    goes_on: tuple[str, ...] = ()
    successor: Deployment | None = None

    @property
    def is_refused(self) -> bool:
        """True if there is nothing to withdraw, and only what is never cancelled."""
        return bool(self.goes_on) and not self.withdrawn

    def sentence(self, stack: Stack) -> str:
        """Describe which part was cancelled and which goes on, for the record of the deployment."""
        words = [f"Withdrawn: {_listed(self.withdrawn)}."] if self.withdrawn else []
        if self.goes_on:
            where = f" in deployment {self.successor.pk}" if self.successor else ""
            words.append(f"What takes access away, replaces a key or locks out goes on{where}: {_listed(self.goes_on)}.")
        elif self.successor and self.successor.is_open:
            words.append(f"Deployment {self.successor.pk} records that on AWS, where nobody’s access changes by it.")
        if not words and not stack.is_up_to_date:
            words.append("Nothing was withdrawn: it is deployed with the next change, or by “Deploy again”.")
        return " ".join(words)


class _RolledBack(Exception):
    """Rolls back the transaction of a rehearsal."""


def preview_withdrawal(deployment: Deployment, *, actor: Actor) -> Withdrawal:
    """Return what `withdraw` would do, without changing anything."""
    withdrawal = Withdrawal()
    try:
        with transaction.atomic():
            withdrawal = withdraw(deployment, actor=actor)
            raise _RolledBack
    except _RolledBack:
        return withdrawal


def withdraw(deployment: Deployment, *, actor: Actor) -> Withdrawal:
    """Withdraw what an ended deployment was to give, and have the rest deployed. In the transaction of its end."""
    stack = lock(deployment.stack_id)
    if stack.is_retired:
        return Withdrawal(
            goes_on=(f"{stack.title} is removed",), successor=None if stack.is_up_to_date else queue_deployment(stack)
        )
    if stack.is_up_to_date or stack.needs_decision or stack.known_generation is not None:
        # AWS does not hold what the database says: somebody has to decide about that first.
        return Withdrawal()
    before = StoredManifest.objects.text_at(stack, stack.generation)
    answers: list[tuple[Any, Any]] = deployment_cancelled.send(sender=Deployment, deployment=deployment, stack=stack, actor=actor)
    successor: Deployment | None = next((answer for _, answer in answers if answer is not None), None)
    stack.refresh_from_db()
    after = StoredManifest.objects.text_at(stack, stack.generation)
    withdrawn = _words(after, before, widens=True) if after != before else ()
    goes_on = _words(StoredManifest.objects.text_at(stack, stack.deployed_generation), after, widens=False)
    if successor is None and goes_on:
        successor = queue_deployment(stack)
        Change.objects.create(deployment=successor, generation=stack.generation, summary=GOES_ON, actor=actor.label)
    if successor is not None and not stack.deployed_generation and successor.changes.count() == 1:
        _end(successor, deployment, actor)
    if withdrawn:
        details = {"withdrawn": list(withdrawn[:MAX_NAMED_CHANGES]), "goes_on": list(goes_on[:MAX_NAMED_CHANGES])}
        record(actor, "deployment.withdraw", stack.name, deployment=deployment.pk, **details)
    return Withdrawal(withdrawn, goes_on, successor)


def withdraw_and_advise(deployment: Deployment, *, actor: Actor) -> str:
    """Withdraw, and return the advice: the active lockout, and the parts that are cancelled and that go on.

    In the transaction of the end.
    """
    withdrawal = withdraw(deployment, actor=actor)
    stack = Stack.objects.get(pk=deployment.stack_id)
    return f"{describe_unchanged(stack)} {withdrawal.sentence(stack)}".strip()


def _end(successor: Deployment, deployment: Deployment, actor: Actor) -> None:
    """End the successor too: what was never on AWS is not deployed for the sake of its record."""
    successor.state, successor.finished_at, successor.percent = Deployment.State.CANCELLED, timezone.now(), 100
    successor.error = f"Cancelled by {actor.label} with deployment {deployment.pk}."
    successor.advice = "Nothing is on AWS. It is made with the next change, or by “Deploy again”, without what was withdrawn."
    successor.save(update_fields=["state", "finished_at", "percent", "error", "advice"])


def _words(held: str, wanted: str, *, widens: bool) -> tuple[str, ...]:
    """Describe how people's access changes between two manifests: the changes that widen it, or the others."""
    if not wanted:
        return ()
    changes = [change for change in people_changes(held, wanted) if change.widens == widens]
    return tuple(f"{row.name} {row.what}" for row in people_rows(changes[:MAX_SHOWN_CHANGES]))


def _listed(words: tuple[str, ...]) -> str:
    return "; ".join(words[:MAX_NAMED_CHANGES]) + (
        f"; and {len(words) - MAX_NAMED_CHANGES} more" if len(words) > MAX_NAMED_CHANGES else ""
    )
