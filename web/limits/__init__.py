"""What the AWS account uses of its limits.

Forms, views and templates; the services are in `control_plane`. May import the control plane, not the engine and the deployers.
"""
