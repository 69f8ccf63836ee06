"""Health of the site: the health page, `/healthz`, `/readyz` and `/metrics`.

Forms, views and templates; the services are in `control_plane`. May import the control plane, not the engine and the deployers.
"""
