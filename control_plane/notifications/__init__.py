"""The outbox: e-mails and webhook calls, each a row that is tried until it is taken.

Knows neither people nor groups: who announces something composes its words and names the addresses. May import the audit trail,
settings and errors alone.
"""
