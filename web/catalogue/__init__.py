"""The catalogue of analyses: finding one, asking for it, and administrators' pages about each.

Forms, views and templates; the services are in `control_plane`. May import the control plane, not the engine and the deployers.
"""
