"""The outbox: e-mails and webhook calls, each a row that is retried until it is delivered.

Knows neither people nor groups: the announcing app composes the text and names the recipients. May import the audit trail,
settings and errors alone.
"""
