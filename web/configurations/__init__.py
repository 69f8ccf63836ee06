"""Pages to write and check configurations, by form and as text.

Forms, views, templates and static files; the services are in `control_plane`. May import the control plane, not the engine and
the deployers.
"""
