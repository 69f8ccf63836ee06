"""Django's SMTP backend with one time limit for the whole exchange."""

import smtplib
from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends import smtp

from control_plane.base.deadline import Deadline, smtp_class
from control_plane.base.email_url import EXCHANGE_SECONDS


class EmailBackend(smtp.EmailBackend):
    """SMTP backend that connects, sends and quits within EXCHANGE_SECONDS, or raises DeadlinePassed."""

    _deadline: Deadline

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return smtp_class(self._deadline, is_encrypted=self.use_ssl)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        with Deadline(EXCHANGE_SECONDS) as self._deadline:
            return super().send_messages(email_messages) or 0
