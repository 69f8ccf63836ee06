"""Static files: selection of vendor files, and names with content hashes."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import FileSystemFinder
from whitenoise.storage import CompressedManifestStaticFilesStorage

_IMPORTS = CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]
# Folders of static files that hold our own modules.
OUR_FOLDERS = ("cohort", "credentials", "files", "jobs", "storage", "uploads")


class StaticFiles(CompressedManifestStaticFilesStorage):
    """Storage with content hashes in names, also in the imports of our modules, so that no page mixes two versions."""

    # Django rewrites imports in every file or in none, and other packages' files import files that they do not include.
    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        *((f"{folder}/*.js", _IMPORTS) for folder in OUR_FOLDERS),
    )


class ListedVendorFiles(FileSystemFinder):
    """Finder of only those files of a package's folder that pages use (`settings.VENDOR_FILES`); packages contain many more."""

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[Any]:
        """Yield each file to collect, with its storage."""
        for path, storage in super().list(ignore_patterns):
            prefix = getattr(storage, "prefix", "") or ""
            wanted = settings.VENDOR_FILES.get(prefix)
            if wanted is None or str(PurePosixPath(path)) in wanted:
                yield path, storage
