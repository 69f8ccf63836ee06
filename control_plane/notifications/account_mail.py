"""E-mails about an account. Their links give access to it, so their text is stored encrypted, and no longer than needed.

Somebody with SECRET_KEY and the database can make such links anyway; the database alone, or a backup of it, does not reveal any.
"""

import json
from datetime import datetime, timedelta

from cryptography.fernet import InvalidToken

from control_plane.base.encryption import fernet
from control_plane.notifications.channels import NotDelivered
from control_plane.notifications.messages import Message
from control_plane.notifications.models import MAX_TRIES, Notice

_PURPOSE = b"cohort account mail"
# A link to set a password is valid for a day: later there is no point in sending it.
LIFETIME = timedelta(days=1)


def seal(subject: str, body: str) -> str:
    """Encrypt an e-mail's subject and body."""
    return fernet(_PURPOSE).encrypt(json.dumps([subject, body]).encode()).decode()


def unseal(notice: Notice) -> Message:
    """Decrypt a notice's subject and body. Raises NotDelivered if SECRET_KEY has changed."""
    try:
        subject, body = json.loads(fernet(_PURPOSE).decrypt(notice.sealed.encode()))
    except InvalidToken as error:
        raise NotDelivered(
            "SECRET_KEY was changed since it was written, so nobody can read it; the person has to ask anew."
        ) from error
    return Message(subject, body)


def expire_unsent(now: datetime) -> int:
    """Give up account e-mails that could not be sent within LIFETIME, and remove their text. Returns their number."""
    old = Notice.objects.unsent().filter(event=Notice.Event.ACCOUNT, created_at__lt=now - LIFETIME).exclude(sealed="")
    return old.update(sealed="", attempts=MAX_TRIES)
