"""`manage.py doctor`: whether an account and a site are ready for each step of docs/operations.md. It only looks.

It runs before there are any settings, so nothing here needs Django's but the checks of the host itself.
"""
