"""`manage.py administrator ensure` on a host, where the password is asked for instead of read from the environment."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from control_plane.accounts.models import User

MODULE = "control_plane.administration.management.commands.administrator"
GOOD = "a-long-and-strange-password-42"
pytestmark = pytest.mark.django_db


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def type_(*answers: str) -> None:
        left = list(answers)
        monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
        monkeypatch.setattr(f"{MODULE}.getpass", lambda prompt: left.pop(0))
        monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())

    return type_


def test_a_password_that_is_typed_twice_makes_an_administrator(typed: Callable[..., None]) -> None:
    typed(GOOD, GOOD)
    call_command("administrator", "ensure", "ada@example.org")
    assert User.objects.get(email="ada@example.org").check_password(GOOD)


@pytest.mark.parametrize(
    ("answers", "reason"), [((GOOD, "another"), "differ"), (("short", "short"), "too short"), (("", ""), "too short")]
)
def test_a_bad_password_makes_nobody(typed: Callable[..., None], answers: Any, reason: str) -> None:
    typed(*answers)
    with pytest.raises(CommandError, match=f"{reason}.*Nothing was changed"):
        call_command("administrator", "ensure", "ada@example.org")
    assert not User.objects.exists()
