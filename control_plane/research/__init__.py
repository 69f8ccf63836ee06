"""Research work: the catalogue of analyses, storage, uploads, files, configurations and jobs.

May import access and what lies below; never operation.
"""
