"""Operation of the site: backups and health.

May import everything below; only the ways in import it.
"""
