"""Pages of groups: a person's groups, joining, members, keys, suspension, sign-off.

Forms, views, templates and static files; the services are in `control_plane`. May import the control plane, not the engine and
the deployers.
"""
