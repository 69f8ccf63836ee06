"""`python -m tests.engine.dying_worker <stage>`: a worker that is killed at that stage, as by a power cut."""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

STAGES = ("claimed", "synthesising", "publishing", "change-set", "executing", "recording")


def die(*arguments: Any, **named: Any) -> Any:
    """Be gone, without a chance to clear up."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the function do its work, and be gone once it has, if its answer is something."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        answer = function(*arguments, **named)
        if answer:
            die()
        return answer

    return wrapped


def prepare(stage: str) -> None:
    """Have this process die at that stage."""
    from control_plane.deployments.deployers import synthesis
    from control_plane.deployments.deployers._json_child import Conversation
    from control_plane.deployments.engine import leases, outcomes, run

    def replace(owner: Any, name: str, function: Callable[..., Any]) -> None:
        # Refuses a name that is not there: the worker would not die at all.
        patch.object(owner, name, function).start()

    def prepare_executing() -> None:
        replace(Conversation, "send", die_once_answered(Conversation.send))
        if os.environ.get("COHORT_DEPLOYER") == "cli":
            replace(run.Run, "resource", die)

    preparations: dict[str, Callable[[], None]] = {
        "claimed": lambda: replace(leases, "claim", die_after(leases.claim)),
        "synthesising": lambda: replace(synthesis.Synthesiser, "_answer", die),
        "publishing": lambda: replace(run.Run, "_publish", die_after(run.Run._publish)),
        "change-set": lambda: replace(run.Run, "may_execute", die_after(run.Run.may_execute)),
        "executing": prepare_executing,
        "recording": lambda: replace(outcomes, "record_success", die),
    }
    preparations[stage]()


def die_once_answered(send: Callable[..., None]) -> Callable[..., None]:
    """Let the answer to 'may it?' go out, and be gone when CloudFormation has begun."""

    def wrapped(self: Any, message: dict[str, Any]) -> None:
        send(self, message)
        if message.get("op") == "answer":
            time.sleep(0.5)
            die()

    return wrapped


def main() -> None:
    """Prepare to die, and work."""
    import django

    django.setup()
    from django.core.management import call_command

    prepare(sys.argv[1])
    call_command("worker")


if __name__ == "__main__":
    main()
