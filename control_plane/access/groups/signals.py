"""Signals that groups send. Rooms that depend on groups receive them; groups import none of these."""

from django.dispatch import Signal

# A stack is to be changed, or made. Sent by `services.groups` and `services.platform_stack` with the `stack`, whose row is locked,
# and the group's manifests `before` (None of a new group) and `after`; both are None for a further storage stack, which takes room
# by existing. Sent in the transaction that requests the change: a receiver refuses it by raising LimitReached, which rolls it back.
manifest_proposed = Signal()
