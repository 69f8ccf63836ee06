"""Foundations that all else imports: errors, settings, AWS clients, the audit trail, the base of commands, nightly cleaning.

Knows no domain. May import nothing of the control plane but its own modules.
"""
