"""Backups of the database: making, listing, verifying by a restore, restoring, removing.

May import what lies below, such as deployments (AWS is ahead of the records after a restore) and the access review, which scans
again.
"""
