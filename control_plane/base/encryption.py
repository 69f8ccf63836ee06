"""Encryption of values in the database, with keys derived from SECRET_KEY, one for each purpose."""

import base64

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


def fernet(purpose: bytes) -> MultiFernet:
    """Return a cipher that encrypts with the current key and decrypts with earlier ones (SECRET_KEY_FALLBACKS) too."""
    return MultiFernet([Fernet(_derive(str(key), purpose)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _derive(key: str, purpose: bytes) -> bytes:
    derivation = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose)
    return base64.urlsafe_b64encode(derivation.derive(key.encode()))
