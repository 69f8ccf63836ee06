"""The audit trail: actions and refusals with their actor, time and address. Rows are added and never changed.

May import the settings and errors alone, so that everything else can record.
"""
