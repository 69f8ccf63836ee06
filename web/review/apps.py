from django.apps import AppConfig


class ReviewPagesConfig(AppConfig):
    """App of the access review: what AWS holds compared with the records, and what waits for a decision."""

    name = "web.review"
    label = "review_pages"
