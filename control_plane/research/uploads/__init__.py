"""Uploads from a browser straight to S3: their names, beginning, completion and record.

It may import storage and what lies below it. A browser begins and ends them by `api/uploads.py`; the pages lie in `web/uploads`.
"""
