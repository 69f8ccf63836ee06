from django.apps import AppConfig


class CataloguePagesConfig(AppConfig):
    """The catalogue of analyses: finding one, asking for it, and administrators' pages about each."""

    name = "web.catalogue"
    label = "catalogue_pages"
