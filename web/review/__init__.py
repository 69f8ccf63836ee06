"""Pages of the access review: what AWS holds compared with the records, and what waits for a decision.

Forms, views and templates; the services are in `control_plane`. May import the control plane, not the engine and the deployers.
"""
