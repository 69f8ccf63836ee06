"""E-mails about an account. Their links open it, so that what they say lies in the database encrypted, and no longer than needed.

Who has SECRET_KEY and the database can make such links anyway; who has the database alone, or a backup of it, reads none.
"""

import json
from datetime import datetime, timedelta

from cryptography.fernet import InvalidToken

from control_plane.base.encryption import fernet
from control_plane.notifications.channels import NotDelivered
from control_plane.notifications.messages import Message
from control_plane.notifications.models import MAX_TRIES, Notice

_PURPOSE = b"cohort account mail"
# A link to set a password serves for a day: after that there is no use in sending it.
KEPT = timedelta(days=1)


def sealed(subject: str, body: str) -> str:
    """Encrypt what an e-mail says."""
    return fernet(_PURPOSE).encrypt(json.dumps([subject, body]).encode()).decode()


def unsealed(notice: Notice) -> Message:
    """Read what it says. Raises NotDelivered where that cannot be read any more."""
    try:
        subject, body = json.loads(fernet(_PURPOSE).decrypt(notice.sealed.encode()))
    except InvalidToken as error:
        raise NotDelivered(
            "SECRET_KEY was changed since it was written, so nobody can read it; the person has to ask anew."
        ) from error
    return Message(subject, body)


def forget_unsent(now: datetime) -> int:
    """Give up, and remove the words of, what could not be sent for a day. Returns how many."""
    old = Notice.objects.unsent().filter(event=Notice.Event.ACCOUNT, created_at__lt=now - KEPT).exclude(sealed="")
    return old.update(sealed="", attempts=MAX_TRIES)
