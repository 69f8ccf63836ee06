"""`python -m tests.engine.dying_worker <stage>`: a worker that is killed at that stage, as by a power cut."""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

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

    def prepare_executing() -> None:
        Conversation.send = die_once_answered(Conversation.send)  # type: ignore[method-assign]
        if os.environ.get("COHORT_DEPLOYER") == "cli":
            run.Run.resource = die  # type: ignore[method-assign]

    preparations: dict[str, Callable[[], None]] = {
        "claimed": lambda: setattr(leases, "claim", die_after(leases.claim)),
        "synthesising": lambda: setattr(synthesis.Synthesiser, "_answer", die),
        "publishing": lambda: setattr(run.Run, "_publish", die_after(run.Run._publish)),
        "change-set": lambda: setattr(run.Run, "may_execute", die_after(run.Run.may_execute)),
        "executing": prepare_executing,
        "recording": lambda: setattr(outcomes, "succeeded", die),
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
