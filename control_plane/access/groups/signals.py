"""Signals of groups. Those who depend on groups receive them; groups import none of these."""

from django.dispatch import Signal

# A stack is to be changed, or made. Sent by `services.groups` and `services.platform` with the `stack`, whose row is locked, and
# the group's manifests `before` (None of a new group) and `after`; both are None for a further storage stack, which takes room by
# being there. In the transaction that asks for the change: a receiver refuses by raising LimitReached, which rolls all of it back.
manifest_proposed = Signal()
