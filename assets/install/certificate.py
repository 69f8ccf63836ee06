"""The site's certificate where the host itself holds it (TLS by certbot): self-signed at first, then Let's Encrypt's.

A new host must not ask for a new one, since Let's Encrypt gives five a week for one name: a copy is kept on the data volume. The
services may rename whatever lies there, so the copy is one file, root's alone, and one that is not is never used.
"""

import os
import shutil
import stat
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

from assets.install.host import DATA, Failed, host_path, host_values, log, run, write

ETC = "/etc/letsencrypt"
KEPT = f"{DATA}/certificates.tar"
CHALLENGES = "/var/www/letsencrypt"
HOOK = f"{ETC}/renewal-hooks/deploy/cohort"
RETRY = "/etc/cron.d/cohort-certificate"
HOOK_TEXT = """#!/bin/sh
# A certificate was renewed: have nginx use it, and keep a copy on the data volume.
systemctl reload nginx.service
cd /opt/cohort/current && exec python3 -m assets.install.certificate --keep
"""
RETRY_TEXT = """# Asks for the site's certificate until there is one. Let's Encrypt allows five failures an hour.
*/30 * * * * root cd /opt/cohort/current && python3 -m assets.install.certificate 2>&1 | logger --tag cohort-certificate
"""
STOPGAP_DAYS = 30


def ensure_certificate(host: Mapping[str, str]) -> None:
    """Provide a certificate that nginx can start with: the one kept on the data volume, or a self-signed one."""
    if host["TLS"] != "certbot":
        return
    host_path(CHALLENGES).mkdir(parents=True, exist_ok=True)
    if _live(host).exists():
        log("there is a certificate")
    elif _restore(host):
        log("took the certificate from the data volume")
    else:
        _make_stopgap(host)
        log("made a certificate that browsers warn of, until Let's Encrypt gives one")


def obtain_certificate(host: Mapping[str, str]) -> None:
    """Ask Let's Encrypt for the certificate, unless it was given. If it refuses, the site goes on, and it is asked again later."""
    if host["TLS"] != "certbot":
        return
    write(host_path(HOOK), HOOK_TEXT, 0o755)
    if not _is_given(host):
        aside = _live(host).with_name(f"{host['DOMAIN']}.stopgap")
        shutil.rmtree(aside, ignore_errors=True)
        # certbot would call its own by another name where this one is taken; nginx has already read it.
        if _live(host).exists():
            _live(host).rename(aside)
        try:
            run(
                *("certbot", "certonly", "--webroot", "--webroot-path", host_path(CHALLENGES), "--non-interactive", "--agree-tos"),
                *("--email", host["EMAIL"], "--domain", host["DOMAIN"], "--key-type", "ecdsa"),
            )
        except Failed as failure:
            if aside.exists():
                aside.rename(_live(host))
            write(host_path(RETRY), RETRY_TEXT)
            log(
                f"Let's Encrypt gave no certificate for {host['DOMAIN']}: {failure} "
                "The site serves with one that browsers warn of. "
                "See that the name's A record leads to this host; it is asked again each half hour."
            )
            return
        shutil.rmtree(aside, ignore_errors=True)
        run("systemctl", "reload", "nginx.service")
    host_path(RETRY).unlink(missing_ok=True)
    keep_copy()


def keep_copy() -> None:
    """Copy certbot's folder to the data volume, for the next host."""
    kept = host_path(KEPT)
    beside = kept.with_name(".certificates.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
        archive.add(host_path(ETC), arcname=".")
    beside.replace(kept)
    log("kept the certificate on the data volume")


def _restore(host: Mapping[str, str]) -> bool:
    try:
        descriptor = os.open(host_path(KEPT), os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError as error:
        log(f"{host_path(KEPT)} was not used: {error.strerror}")
        return False
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o077:
            log(f"{host_path(KEPT)} is not root's alone, so it was not used: somebody else may have put it there")
            return False
        try:
            with tarfile.open(fileobj=file) as archive:
                # Pythons before 3.11.4 know no filter.
                if hasattr(tarfile, "data_filter"):
                    archive.extraction_filter = tarfile.data_filter
                archive.extractall(host_path(ETC))  # noqa: S202 - root's own file, as was seen above
        except (tarfile.TarError, OSError) as error:
            log(f"{host_path(KEPT)} was not used: {error}")
            return False
    return _live(host).exists()


def _make_stopgap(host: Mapping[str, str]) -> None:
    live = _live(host)
    live.mkdir(parents=True, exist_ok=True)
    run(
        *("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-days", STOPGAP_DAYS, "-subj", f"/CN={host['DOMAIN']}", "-addext", f"subjectAltName=DNS:{host['DOMAIN']}"),
        *("-keyout", live / "privkey.pem", "-out", live / "fullchain.pem"),
        umask=0o077,
    )
    # Without intermediates, the chain of a stopgap is itself.
    shutil.copyfile(live / "fullchain.pem", live / "chain.pem")


def _live(host: Mapping[str, str]) -> Path:
    return host_path(ETC) / "live" / host["DOMAIN"]


def _is_given(host: Mapping[str, str]) -> bool:
    return (host_path(ETC) / "renewal" / f"{host['DOMAIN']}.conf").exists()


def main() -> None:
    """Ask for the certificate again, or with --keep copy the one that is there."""
    try:
        keep_copy() if sys.argv[1:] == ["--keep"] else obtain_certificate(host_values())
    except Failed as failure:
        sys.exit(f"cohort: {failure}")


if __name__ == "__main__":
    main()
