from django.apps import AppConfig


class JobPagesConfig(AppConfig):
    """App of the pages to submit jobs, follow them and see their results."""

    name = "web.jobs"
    label = "job_pages"
    verbose_name = "Job pages"
