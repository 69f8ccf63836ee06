"""Pages about using AWS from one's own computer: profiles, signing in a computer, showing one's key.

Forms, views, templates and static files; the services are in `control_plane`. May import the control plane, not the engine and
the deployers.
"""
