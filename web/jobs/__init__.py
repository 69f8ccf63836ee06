"""Pages to submit a job, follow it, and see its results.

Forms, views, templates and static files; the services are in `control_plane`. May import the control plane, not the engine and
the deployers.
"""
