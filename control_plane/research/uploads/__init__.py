"""Uploads from a browser straight to S3: names, initiation, completion and records.

May import storage and what lies below it. A browser calls `api/uploads.py`; the pages are in `web/uploads`.
"""
