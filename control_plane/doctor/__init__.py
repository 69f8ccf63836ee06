"""`manage.py doctor`: read-only checks of an account and a site before each step of docs/operations.md.

It runs before there are any settings, so only the checks of the host itself need Django's.
"""
