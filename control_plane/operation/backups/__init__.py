"""Backups of the database: made, listed, verified by restoring, and restored.

Operation: may import what lies below, such as the deployments (what AWS holds is newer after a restore) and the access review,
which looks again.
"""
