from django.apps import AppConfig


class JobPagesConfig(AppConfig):
    """The pages where people submit jobs, follow them and see their results."""

    name = "web.jobs"
    label = "job_pages"
    verbose_name = "Job pages"
