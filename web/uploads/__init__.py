"""Parts of pages about uploads from the browser to S3, in parts that survive a lost network.

Forms, views, templates and static files; the services are in `control_plane`. May import the control plane, not the engine and
the deployers.
"""
