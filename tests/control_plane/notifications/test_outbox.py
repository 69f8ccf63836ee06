"""Who is told how a deployment ended, by e-mail and by webhook, and that each is told once whatever happens."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from standardwebhooks import Webhook

from control_plane.access.groups.models import Access, Group
from control_plane.access.groups.services.members import add_member
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.config import config
from control_plane.base.email_url import parse_email_url
from control_plane.deployments.announcements import announce
from control_plane.deployments.models import Change, Deployment
from control_plane.notifications import delivery, outbox
from control_plane.notifications.delivery import deliver
from control_plane.notifications.models import MAX_TRIES, Notice
from control_plane.notifications.outbox import deliver_due
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
SECRET = "whsec_" + "c2VjcmV0IGJ5dGVz" * 2

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        config.cache_clear()

    yield set_all
    monkeypatch.undo()
    config.cache_clear()


@pytest.fixture
def deployment(group: Group, ada: User, administrator: User) -> Deployment:
    """Giving Ada access, asked for by the administrator."""
    actor = Actor(label=administrator.email, channel="web", user=administrator)
    Change.objects.all().delete()
    return add_member(group=group, user=ada, access=Access.FEDERATED, actor=actor)


@pytest.fixture
def hook(configure: Configure) -> Iterator[SimpleNamespace]:
    """A receiver on this machine, that keeps what it is sent and answers with `status`."""
    seen = SimpleNamespace(requests=[], status=204)

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.requests.append((dict(self.headers), body))
            self.send_response(seen.status)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the name that http.server looks for

        def log_message(self, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    configure(WEBHOOK_URL=f"http://127.0.0.1:{server.server_port}/hook?token=private", WEBHOOK_SECRET=SECRET)
    yield seen
    server.shutdown()
    server.server_close()


def tell(deployment: Deployment, event: str) -> set[str]:
    """Announce, deliver all that is new, and return who was mailed."""
    with transaction.atomic():
        announce(deployment, event)
    for notice in Notice.objects.unsent():
        deliver(notice.pk, notice.attempts)
    return {address for message in mail.outbox for address in message.to}


def fail(deployment: Deployment) -> Deployment:
    deployment.state, deployment.error, deployment.advice = Deployment.State.FAILED, "It broke.", "Mend it."
    deployment.save()
    return deployment


def break_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(message: EmailMessage, fail_silently: bool = False) -> int:
        raise ConnectionRefusedError("connection refused")

    monkeypatch.setattr(EmailMessage, "send", refuse)


def test_it_works(deployment: Deployment) -> None:
    assert tell(deployment, "succeeded") == {"admin@example.org"}
    [message] = mail.outbox
    assert message.subject == "Done: Giving ada@example.org access to Example Lab"
    assert message.body.count("http") == 1
    assert f"http://localhost:8000/deployments/{deployment.pk}/" in message.body
    assert message.message()["Auto-Submitted"] == "auto-generated"
    notice = Notice.objects.get()
    assert notice.sent_at is not None
    assert notice.attempts == 1


def test_a_failure_is_told_with_its_error_and_what_to_do_to_who_asked_and_to_every_administrator(
    deployment: Deployment, grace: User
) -> None:
    UserFactory.create(email="second@example.org", password="a long enough password", administrator=True)
    UserFactory.create(email="gone@example.org", password="a long enough password", is_active=False, administrator=True)
    Change.objects.create(
        deployment=deployment, generation=deployment.generation, summary="More", actor=grace.email, actor_user=grace
    )
    assert tell(fail(deployment), "failed") == {"admin@example.org", "second@example.org", "grace@example.org"}
    assert mail.outbox[0].subject == "Failed: Giving ada@example.org access to Example Lab and 1 more"
    assert "It broke.\n\nMend it." in mail.outbox[0].body


def test_approval_is_asked_of_administrators_who_may_give_it(deployment: Deployment) -> None:
    UserFactory.create(email="second@example.org", password="a long enough password", administrator=True)
    assert tell(deployment, "approval") == {"second@example.org"}
    assert mail.outbox[0].subject.startswith("Approval needed: ")


def test_a_later_change_asks_for_approval_anew(deployment: Deployment) -> None:
    UserFactory.create(email="second@example.org", password="a long enough password", administrator=True)
    tell(deployment, "approval")
    deployment.generation += 1
    tell(deployment, "approval")
    assert len(mail.outbox) == 2


def test_an_end_is_told_once_however_often_it_is_announced(deployment: Deployment) -> None:
    for _ in range(3):
        tell(deployment, "succeeded")
    assert len(mail.outbox) == 1
    assert DBTaskResult.objects.filter(task_path__endswith="notifications.tasks.deliver").count() == 1


def test_completion_can_be_left_untold_but_not_failure(deployment: Deployment, configure: Configure) -> None:
    configure(NOTIFY_COMPLETION="false")
    assert tell(deployment, "succeeded") == set()
    assert tell(fail(deployment), "failed") == {"admin@example.org"}


def test_no_more_than_fifty_are_told_and_who_asked_comes_first(deployment: Deployment, grace: User) -> None:
    User.objects.bulk_create(User(email=f"a{number}@example.org", is_staff=True, is_superuser=True) for number in range(80))
    Change.objects.update(actor_user=grace)
    told = tell(fail(deployment), "failed")
    assert len(told) == outbox.MAX_RECIPIENTS
    assert "grace@example.org" in told


@pytest.mark.django_db(transaction=True)
def test_nothing_is_announced_outside_the_transaction_of_what_happened(deployment: Deployment) -> None:
    with pytest.raises(RuntimeError):
        announce(deployment, "succeeded")
    with transaction.atomic():
        announce(deployment, "succeeded")
        transaction.set_rollback(True)
    assert not Notice.objects.exists()


def test_a_line_break_in_a_summary_adds_no_header(deployment: Deployment) -> None:
    Change.objects.update(summary="Giving\nBcc: eve@example.org access")
    assert tell(deployment, "succeeded") == {"admin@example.org"}
    assert "Bcc" not in mail.outbox[0].message()


def test_what_is_not_taken_is_tried_again_later_each_time_and_then_given_up(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_mail(monkeypatch)
    tell(deployment, "succeeded")
    waits = []
    for tries in range(1, MAX_TRIES):
        notice = Notice.objects.get()
        assert notice.attempts == tries
        assert "connection refused" in notice.last_error
        waits.append(round((notice.not_before - timezone.now()).total_seconds() / 60))
        assert deliver_due() == 0
        Notice.objects.update(not_before=timezone.now())
        assert deliver_due() == 1
        assert deliver_due() == 0
        deliver(notice.pk, tries)
    assert waits == [1, 2, 4, 8, 16, 32, 64]
    Notice.objects.update(not_before=timezone.now() - timedelta(days=1))
    assert deliver_due() == 0
    assert Notice.objects.get().attempts == MAX_TRIES


def test_the_same_try_is_never_made_twice(deployment: Deployment) -> None:
    tell(deployment, "succeeded")
    notice = Notice.objects.get()
    assert not deliver(notice.pk, 0)
    assert not deliver(notice.pk, 1)
    assert len(mail.outbox) == 1


def test_a_worker_killed_in_the_middle_loses_nothing(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(notice: Notice) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(delivery, "_send", die)
        with pytest.raises(KeyboardInterrupt):
            tell(deployment, "succeeded")
    assert deliver_due() == 0
    Notice.objects.update(not_before=timezone.now())
    assert deliver_due() == 1
    assert deliver(Notice.objects.get().pk, 1)
    assert len(mail.outbox) == 1


def test_the_webhook_is_signed_and_carries_the_deployment_without_its_log(deployment: Deployment, hook: SimpleNamespace) -> None:
    deployment.log.create(number=1, text="a line of the log")
    tell(deployment, "succeeded")
    [(headers, body)] = hook.requests
    document = Webhook(SECRET).verify(body, headers)
    assert document["type"] == "deployment.succeeded"
    assert document["data"]["id"] == deployment.pk
    assert document["data"]["url"].endswith(f"/deployments/{deployment.pk}/")
    assert not {"log", "plan", "resources"} & document["data"].keys()
    assert "a line of the log" not in body.decode()
    notice = Notice.objects.get(channel="webhook")
    assert document["id"] == notice.message_id
    assert notice.recipient == "127.0.0.1"


def test_what_is_told_is_what_was_recorded_whatever_follows(deployment: Deployment, hook: SimpleNamespace) -> None:
    with transaction.atomic():
        announce(fail(deployment), "failed")
    Deployment.objects.update(state=Deployment.State.QUEUED, error="")
    for notice in Notice.objects.unsent():
        assert deliver(notice.pk, 0)
    [(headers, body)] = hook.requests
    document = Webhook(SECRET).verify(body, headers)
    assert list(document) == ["id", "type", "timestamp", "data"]
    assert (document["data"]["state"], document["data"]["error"]) == ("failed", "It broke.")
    assert "It broke." in mail.outbox[0].body


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_any_other_answer_is_a_failure_and_no_redirect_is_followed(
    deployment: Deployment, hook: SimpleNamespace, status: int
) -> None:
    hook.status = status
    tell(deployment, "succeeded")
    assert len(hook.requests) == 1
    notice = Notice.objects.get(channel="webhook")
    assert notice.sent_at is None
    assert notice.last_error == f"127.0.0.1 answered with status {status}."


def test_the_test_command_says_what_it_did(hook: SimpleNamespace) -> None:
    out = StringIO()
    call_command("notify", "test", "ada@example.org", "--json", stdout=out)
    assert set(json.loads(out.getvalue())) == {"email", "webhook"}
    assert mail.outbox[0].to == ["ada@example.org"]
    assert len(hook.requests) == 1


def test_the_test_command_says_what_is_wrong_and_never_a_secret(hook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    break_mail(monkeypatch)
    hook.status = 500
    with pytest.raises(CommandError) as refusal:
        call_command("notify", "test", "ada@example.org")
    assert refusal.value.returncode == 2
    assert "was not sent" in str(refusal.value)
    assert "status 500" in str(refusal.value)
    assert "private" not in str(refusal.value)


def test_a_folder_takes_mail_as_files(tmp_path: Path) -> None:
    folder = tmp_path / "mail of ours"
    with override_settings(**parse_email_url(folder.as_uri())):
        call_command("notify", "test", "ada@example.org", stdout=StringIO())
    assert "Cohort can reach you" in next(folder.iterdir()).read_text()


def test_a_mail_server_is_written_in_one_line() -> None:
    server = parse_email_url("smtp://user%40example.org:p%40ss%2Fword@mail.example.org:587?tls=true")
    assert (server["EMAIL_HOST"], server["EMAIL_PORT"], server["EMAIL_USE_TLS"]) == ("mail.example.org", 587, True)
    assert (server["EMAIL_HOST_USER"], server["EMAIL_HOST_PASSWORD"]) == ("user@example.org", "p@ss/word")
    assert parse_email_url("smtps://mail.example.org")["EMAIL_PORT"] == 465
    assert parse_email_url("smtp://localhost")["EMAIL_USE_TLS"] is False


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"EMAIL_URL": "http://mail.example.org"}, "EMAIL_URL"),
        ({"EMAIL_URL": "smtp://user:pass@word@host/x"}, "EMAIL_URL"),
        ({"EMAIL_URL": "smtp://user:sesame@mail.example.org:port"}, "EMAIL_URL"),
        ({"EMAIL_URL": "smtp://mail.example.org?tsl=true"}, "EMAIL_URL"),
        ({"EMAIL_URL": "file://folder"}, "three slashes"),
        ({"DEFAULT_FROM_EMAIL": "Cohort\n@example.org"}, "DEFAULT_FROM_EMAIL"),
        ({"WEBHOOK_URL": "http://example.org/sesame", "WEBHOOK_SECRET": SECRET}, "https"),
        ({"WEBHOOK_URL": "https://example.org/sesame"}, "WEBHOOK_SECRET"),
        ({"WEBHOOK_URL": "https://example.org/sesame", "WEBHOOK_SECRET": "sesame"}, "openssl rand"),
        ({"METRICS_TOKEN": "sesame"}, "METRICS_TOKEN"),
    ],
)
def test_a_bad_setting_is_named_and_not_shown(configure: Configure, values: dict[str, str], says: str) -> None:
    configure(**values)
    with pytest.raises(SystemExit) as ended:
        config()
    assert says in str(ended.value)
    assert "sesame" not in str(ended.value)
