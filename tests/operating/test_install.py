"""`make install`: whatever the checkout's folder is called, whatever the network's certificates are, and what fails says why."""

import json
import subprocess
import sys
from pathlib import Path

import install
import pytest

ROOT = Path(__file__).resolve().parents[2]
LONG = "/".join(["a folder that has a long name"] * 12)


@pytest.mark.parametrize(
    "folder", ["a b", "o'brien", 'say "x"', "$HOME `id`", LONG], ids=["blank", "quote", "quotes", "dollar", "long"]
)
def test_the_cdk_of_a_checkout_starts_whatever_its_folder_is_called(tmp_path: Path, folder: str) -> None:
    root = tmp_path / folder
    (root / "scripts").mkdir(parents=True)
    (root / "bin").mkdir()
    (root / "scripts/cdk_command.py").write_text("import sys; print(sys.executable, *sys.argv, sep='\\n')")
    python, shim = root / "bin/python", root / "bin/cdk"
    python.symlink_to(sys.executable)
    install.write_shim(shim, python, root)
    done = subprocess.run([str(shim), "diff", "an argument"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(python), str(root / "scripts/cdk_command.py"), "diff", "an argument"]


def test_a_folder_whose_name_path_cannot_hold_is_said_before_anything_is_installed(tmp_path: Path) -> None:
    copy = tmp_path / "a:b" / "scripts"
    copy.mkdir(parents=True)
    (copy / "install.py").write_text((ROOT / "scripts/install.py").read_text())
    done = subprocess.run([sys.executable, str(copy / "install.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "separates folders in PATH" in done.stderr
    assert not (tmp_path / "a:b/.venv").exists()


def test_a_certificate_that_only_pip_knows_is_handed_to_uv_and_to_node(tmp_path: Path) -> None:
    file = tmp_path / "network.pem"
    file.touch()
    for environment, pip in (({"PIP_CERT": str(file)}, {}), ({}, {"CERT": str(file)})):
        told = {**environment, **install.network_settings(environment, pip)}
        assert {told[name] for name in ("PIP_CERT", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")} == {str(file)}


def test_a_certificate_that_only_node_lacks_is_handed_to_it_and_its_own_is_left_to_it(tmp_path: Path) -> None:
    file, own = tmp_path / "network.pem", tmp_path / "of-node.pem"
    file.touch()
    own.touch()
    assert install.network_settings({"SSL_CERT_FILE": str(file)}, {})["NODE_EXTRA_CA_CERTS"] == str(file)
    both = {"SSL_CERT_FILE": str(file), "NODE_EXTRA_CA_CERTS": str(own)}
    assert {**both, **install.network_settings(both, {})}["NODE_EXTRA_CA_CERTS"] == str(own)


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"PIP_CERT names the certificate .*which is not there"):
        install.network_settings({"PIP_CERT": str(tmp_path / "gone.pem")}, {})


def test_the_mirrors_of_pip_s_configuration_are_handed_to_uv() -> None:
    several = {"EXTRA_INDEX_URL": "https://a/  https://b/", "FIND_LINKS": "/a /b"}
    told = install.network_settings({}, {"INDEX_URL": "https://mirror.example.org/simple", **several})
    assert told["UV_INDEX_URL"] == "https://mirror.example.org/simple"
    assert (told["UV_EXTRA_INDEX_URL"], told["UV_FIND_LINKS"]) == ("https://a/ https://b/", "/a,/b")
    # A version that the first of several has not is looked for in the others, as pip looks.
    assert told["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_a_command_that_fails_says_why_before_the_message_that_points_to_it() -> None:
    with pytest.raises(SystemExit) as ended:
        install._run({}, sys.executable, "-c", "import sys; sys.exit('npm error network getaddrinfo ENOTFOUND')")
    said = str(ended.value)
    assert said.index("ENOTFOUND") < said.index("see above")


@pytest.mark.parametrize(
    ("words", "advice"),
    [("npm error ENOSPC: no space left on device", "the disk is full"), ("SELF_SIGNED_CERT: certificate", "PIP_CERT")],
)
def test_a_failure_for_want_of_room_or_of_a_certificate_says_what_to_do(words: str, advice: str) -> None:
    with pytest.raises(SystemExit, match=advice):
        install._run({}, sys.executable, "-c", f"import sys; sys.exit({words!r})")


def test_a_download_that_fails_says_what_npm_says_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Npm's real program, and a package from where nothing listens."""
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "PYTHON", Path(sys.executable))
    package = {"name": "a", "version": "1.0.0", "dependencies": {"b": "1.0.0"}}
    locked = {"version": "1.0.0", "resolved": "http://127.0.0.1:9/b-1.0.0.tgz"}
    (tmp_path / "package.json").write_text(json.dumps(package))
    (tmp_path / "package-lock.json").write_text(
        json.dumps({**package, "lockfileVersion": 3, "packages": {"": package, "node_modules/b": locked}})
    )
    with pytest.raises(SystemExit) as ended:
        install._install_node_packages({"npm_config_fetch_retries": "0", "npm_config_cache": str(tmp_path / "cache")})
    said = str(ended.value)
    assert "ECONNREFUSED" in said
    assert said.index("ECONNREFUSED") < said.index("see above")


def test_whoever_comes_second_waits_until_the_checkout_is_prepared(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts/install.py"
    script.write_text((ROOT / "scripts/install.py").read_text())
    order = tmp_path / "order"
    first = (
        "import sys; file = open(sys.argv[1], 'a', buffering=1); file.write('first\\n'); print('held', flush=True); "
        "sys.stdin.read(); file.write('done\\n')"
    )
    second = "import sys; open(sys.argv[1], 'a').write('second\\n')"
    run = [sys.executable, str(script), "run", sys.executable, "-c"]
    with subprocess.Popen([*run, first, str(order)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with subprocess.Popen([*run, second, str(order)], stdout=subprocess.PIPE, text=True) as waiting:
            assert waiting.stdout
            assert "Waiting" in waiting.stdout.readline()
            holder.stdin.close()
            assert waiting.wait(60) == 0
    assert order.read_text().split() == ["first", "done", "second"]
