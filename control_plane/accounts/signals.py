"""Signals of accounts. Apps that depend on accounts receive them; accounts import none of these apps."""

from django.dispatch import Signal

# A person has shown that their address is theirs, or somebody vouched for it. Sent by `services.addresses.note_verified` with the
# `user`, in the transaction that records it. What a receiver raises rolls that back.
address_verified = Signal()
