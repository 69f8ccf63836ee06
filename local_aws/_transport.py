"""Loopback as secure transport: requests that never leave the machine need no TLS to satisfy `aws:SecureTransport`."""

import ipaddress
from collections.abc import Callable

from ministack import app
from ministack.core import iam_evaluator


def trust_loopback() -> None:
    """Have ministack's evaluator see requests from this machine as secure, in both places that hold the function."""
    original: Callable[[str, bool], None] = iam_evaluator.pin_request_origin

    def pin(source_ip: str, secure_transport: bool) -> None:
        original(source_ip, secure_transport or _is_loopback(source_ip))

    iam_evaluator.pin_request_origin = pin
    app.pin_request_origin = pin


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
