"""Pages of the file browser: listing, previews, downloads, zips, moving and deleting.

Forms, views, templates and static files; the services are in `control_plane`. May import the control plane, not the engine and
the deployers.
"""
