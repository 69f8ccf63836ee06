"""Page of the AWS account's limits and their use.

Forms, views and templates; the services are in `control_plane`. May import the control plane, not the engine and the deployers.
"""
