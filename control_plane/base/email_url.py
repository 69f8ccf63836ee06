"""Parser of EMAIL_URL, which sets Django's EMAIL_* settings in one line."""

from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# For each reply of a mail server.
TIMEOUT_SECONDS = 10
# For a whole exchange with it: connecting, encrypting, and every reply about one message.
EXCHANGE_SECONDS = 30
SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def parse_email_url(url: str) -> dict[str, Any]:
    """Return Django's EMAIL_* settings for `console:`, `file:///folder`, `smtp://user:password@host:587?tls=true` or `smtps://...`.

    `smtp` uses STARTTLS unless the server is this machine or `tls=false` is given; `smtps` uses TLS from the start.
    Raises ValueError with the reason; the message never holds the password.
    """
    parts = urlsplit(url)
    backends = "django.core.mail.backends"
    match parts.scheme:
        case "console":
            return {"EMAIL_BACKEND": f"{backends}.console.EmailBackend"}
        case "file":
            if parts.netloc or not parts.path.startswith("/"):
                raise ValueError("a folder is written with three slashes and from the root: file:///var/lib/cohort/mail")
            return {"EMAIL_BACKEND": f"{backends}.filebased.EmailBackend", "EMAIL_FILE_PATH": unquote(parts.path)}
        case "smtp" | "smtps":
            return {"EMAIL_BACKEND": "control_plane.notifications.smtp.EmailBackend", **_smtp(parts)}
        case _:
            raise ValueError("it must begin with console:, file:///, smtp:// or smtps://")


def _smtp(parts: SplitResult) -> dict[str, Any]:
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError("the port must be a number between 1 and 65535, and a password's @ : / # ? are written as %XX") from error
    if not host or parts.path.strip("/"):
        raise ValueError("write smtp://user:password@host:587, without a path; a password's @ : / # ? are written as %XX")
    if bool(parts.username) != bool(parts.password):
        raise ValueError("give both a user and a password, or neither")
    options = dict(parse_qsl(parts.query))
    is_implicit = parts.scheme == "smtps"
    tls = options.pop("tls", "true" if host not in LOOPBACK else "false").lower()
    if options or tls not in SWITCH:
        raise ValueError("the only option is tls=true or tls=false")
    return {
        "EMAIL_HOST": host,
        "EMAIL_PORT": port or (465 if is_implicit else 587 if SWITCH[tls] else 25),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": is_implicit,
        "EMAIL_USE_TLS": SWITCH[tls] and not is_implicit,
        "EMAIL_TIMEOUT": TIMEOUT_SECONDS,
    }
