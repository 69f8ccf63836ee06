"""What everything stands on: errors, settings, AWS clients, the audit trail, the terminal's commands, cleaning.

Knows no domain. May import nothing of the control plane but its own modules.
"""
