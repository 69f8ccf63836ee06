"""Which static files are served, and how they are named."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import FileSystemFinder
from whitenoise.storage import CompressedManifestStaticFilesStorage

_IMPORTS = CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]
# Folders of static files that hold modules of ours.
OUR_FOLDERS = ("cohort", "credentials", "files", "jobs", "storage", "uploads")


class StaticFiles(CompressedManifestStaticFilesStorage):
    """Names with their content's hash, also where one of our modules imports another file: no page mixes two versions."""

    # Django can do this for every file or for none, and other packages' files import what they do not bring.
    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        *(
            (f"{folder}/*.js", CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1])
            for folder in OUR_FOLDERS
        ),
    )


class ListedVendorFiles(FileSystemFinder):
    """Of a package's folder only the files that pages use (`settings.VENDOR_FILES`); packages bring many more."""

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[Any]:
        """Each file to collect, with its storage."""
        for path, storage in super().list(ignore_patterns):
            prefix = getattr(storage, "prefix", "") or ""
            wanted = settings.VENDOR_FILES.get(prefix)
            if wanted is None or str(PurePosixPath(path)) in wanted:
                yield path, storage
