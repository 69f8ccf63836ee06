from django.apps import AppConfig


class DeploymentPagesConfig(AppConfig):
    """App of the pages of deployments, stacks and previews."""

    name = "web.deployments"
    # `deployments` is the label of the app that has the tables.
    label = "deployment_pages"
