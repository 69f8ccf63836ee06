"""The audit trail: who did what, when, and what was refused to whom. Rows are added and never changed.

Lies near the bottom: may import the settings and errors alone, so that everybody can record.
"""
