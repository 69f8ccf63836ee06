"""Signals of deployments to the apps above them, which are not imported here."""

from django.dispatch import Signal

# A deployment was cancelled or refused. Sent by `withdrawal`, with the `deployment`, its locked `stack`, whose
# `deployed_generation` AWS holds, and the `actor`, in the transaction that records the end. A receiver takes back the rows that
# asked for more than AWS holds, up to the deployment's generation, never those that take access away; and returns the deployment
# that it requested for what is left, or None. What a receiver raises rolls the cancelling back.
deployment_cancelled = Signal()

# A deployment failed, and waits for somebody. Sent by `outcomes` with the `deployment` and the `reasons`: CloudFormation's, by the
# logical id of each resource that stood in the way; empty where it named none. In the transaction that records the end: a receiver
# enqueues what goes on from there, and what it raises rolls the record back.
deployment_failed = Signal()

# AWS is about to change a stack, and the worker's lease is confirmed. Sent by `run` with the `stack` and the `manifest` that it is
# to hold, as text, which is empty where there is none. Outside any transaction: a receiver does on AWS what has to come first, and
# commits what it records of that. What it raises fails the try, as an error of the run itself, before AWS has changed the stack.
pre_execute = Signal()

# A deployment succeeded: AWS holds what it was to bring; or, of one that was cancelled while it ran, a generation that an earlier
# try had brought before that could be taken back. Sent by `outcomes` with the `deployment` and the stack's `observation`, in the
# transaction that records the end, once the stack's `deployed_generation` says what AWS holds. A receiver announces what that
# means, and enqueues what goes on from there; what it raises rolls the record back, and the deployment is tried again.
deployment_succeeded = Signal()
