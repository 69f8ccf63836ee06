"""Checks of outgoing e-mail: the mail server in the secret, and on the host that it answers. Nothing is sent."""

import json
from collections.abc import Iterator

from botocore.exceptions import ClientError

from control_plane.base.deadline import Deadline, smtp_class
from control_plane.base.email_url import EXCHANGE_SECONDS, parse_email_url
from control_plane.doctor.check_context import CheckContext, is_absent
from control_plane.doctor.findings import Finding, NeedsStep, ok, to_do
from stacks.site.settings import SETTINGS_SECRET

ADD = 'Add "EMAIL_URL" to the secret as step 3 shows, then: cd /opt/cohort/current && sudo python3 -m assets.install.boot'


def secret(context: CheckContext) -> Iterator[Finding]:
    """Check that the secret has a mail server. None of its values is kept or shown."""
    try:
        text = context.aws("secretsmanager").get_secret_value(SecretId=SETTINGS_SECRET)["SecretString"]
    except ClientError as error:
        if not is_absent(error):
            raise
        raise NeedsStep(3, f"{SETTINGS_SECRET} is not there yet") from error
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        held = None
    if not isinstance(held, dict):
        yield to_do(f"{SETTINGS_SECRET} is no JSON object", "Put it right as step 3 shows: the host cannot start with it.")
        return
    if "SECRET_KEY" not in held:
        yield to_do(f"{SETTINGS_SECRET} has no SECRET_KEY", "Put the one before back: Secrets Manager keeps it as AWSPREVIOUS.")
    if not str(held.get("EMAIL_URL", "")).strip():
        yield to_do(f"{SETTINGS_SECRET} has no EMAIL_URL, so nobody can confirm an address", ADD)
        return
    try:
        parse_email_url(str(held["EMAIL_URL"]))
    except ValueError as error:
        yield to_do(f"EMAIL_URL cannot be used: {error}", ADD)
        return
    yield ok(f"{SETTINGS_SECRET} has an EMAIL_URL")


def server(context: CheckContext) -> Iterator[Finding]:
    """Connect to the mail server as a sender would, and close the connection again."""
    settings = parse_email_url(context.require_settings().email_url.get_secret_value())
    host, port = settings.get("EMAIL_HOST"), settings.get("EMAIL_PORT")
    if not host:
        kept = "the terminal" if "console" in settings["EMAIL_BACKEND"] else "a folder"
        yield to_do(f"EMAIL_URL leads to {kept}, so nobody gets any e-mail", ADD)
        return
    try:
        refused = _greet(str(host), int(port or 0), settings)
    # smtplib's exceptions are subclasses.
    except OSError as error:
        yield to_do(
            f"{host}:{port} does not answer: {type(error).__name__}",
            "Check host and port in EMAIL_URL, and that the host may reach it: the network lets 465 and 587 out.",
        )
        return
    yield to_do(refused, ADD) if refused else ok(f"{host}:{port} answers; `cohort notify test you@example.org` sends a message")


def _greet(host: str, port: int, settings: dict[str, object]) -> str:
    """Send EHLO, and start TLS if it is configured. Returns the problem, or ''. Raises OSError."""
    with Deadline(EXCHANGE_SECONDS) as deadline:
        kind = smtp_class(deadline, is_encrypted=bool(settings["EMAIL_USE_SSL"]))
        with kind(host, port, timeout=float(str(settings["EMAIL_TIMEOUT"]))) as connection:
            connection.ehlo()
            if settings["EMAIL_USE_TLS"]:
                if not connection.has_extn("starttls"):
                    return f"{host}:{port} offers no TLS (STARTTLS), so a password would be readable on its way"
                connection.starttls()
                connection.ehlo()
            if settings["EMAIL_HOST_USER"] and not connection.has_extn("auth"):
                return f"{host}:{port} takes no user and password"
    return ""
