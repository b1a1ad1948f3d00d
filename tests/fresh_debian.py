"""Follow README.md and docs/installation.md in a Debian system that has just been made.

    sudo python -m tests.fresh_debian [install] [demo] [tests] [--suite bookworm] [--mirror URL]

install: docs/installation.md, all but what needs a running systemd. demo and tests: the commands of README.md, as a
user who may not install packages, with nothing there but Python and venv; then the tests as root, who gets what they
need. Without a word: install and demo. Takes some minutes, with tests many more, and a network; not part of the suite.
It needs root and debootstrap. pip inside uses the same configuration as pip here.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.paths import ROOT

REPOSITORY = ROOT
PAGE = (REPOSITORY / "docs" / "installation.md").read_text("utf-8")
README = (REPOSITORY / "README.md").read_text("utf-8")
COPY = "/root/lora-post"
# What a gateway has and the smallest Debian has not.
INCLUDED = "ca-certificates,sudo,systemd"
RADIO = "/opt/lora_gateway/lora_gateway"
UNITS = "/etc/systemd/system/lora-post"
# What the kernel of a running system mounts: type, place, options.
KERNELS = (
    ("proc", "proc", "rw"),
    ("devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=0620"),
    ("tmpfs", "dev/shm", "mode=1777"),
)
KINDS = (".service", "-radio.service", "-radio.socket")


def block(name: str, text: str = PAGE) -> str:
    """The fenced block behind `<!-- name -->`."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```", text, re.DOTALL)
    if found is None:
        raise SystemExit(f"there is no block {name}")
    return found[1]


def pip_settings() -> dict[str, str]:
    """What pip is configured with here, whether in files or in the environment."""
    said = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True)
    pairs = (line.partition("=") for line in said.stdout.splitlines())
    return {key.rpartition(".")[2]: shlex.split(value)[0] for key, _, value in pairs if shlex.split(value)}


def mirror() -> str | None:
    """Where this system gets its packages from, None when that is no mirror of Debian."""
    for path in (*Path("/etc/apt").glob("sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        if found := re.search(r"(?m)^(?:URIs:|deb(?: \[.*?\])?)\s+(\S+/debian)/?(?:\s|$)", path.read_text()):
            return found[1]
    return None


class Fresh:
    """The new system, in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def sh(self, script: str) -> None:
        """Run it as root of the new system, in the copy of the repository. Raises CalledProcessError."""
        for line in script.strip().splitlines():
            print(f"# {line}", flush=True)
        environ = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
        environ |= {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        environ |= {"DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8", "PIP_ROOT_USER_ACTION": "ignore"}
        words = ["chroot", str(self.root), "bash", "-euo", "pipefail", "-c", f"cd {COPY}\n{script}"]
        subprocess.run(words, check=True, env=environ, stdin=subprocess.DEVNULL)

    def as_user(self, script: str) -> None:
        """Run it as a user without rights, in a copy of the repository that is theirs."""
        self.sh(
            f"id tryer >/dev/null 2>&1 || useradd -m tryer && cp -a {COPY} /home/tryer/ && chown -R tryer: /home/tryer"
        )
        words = shlex.quote(f"cd ~/lora-post && {script}")
        self.sh(f"runuser -u tryer -- env HOME=/home/tryer bash -euo pipefail -c {words}")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "utf-8")
        place.chmod(mode)


def bootstrap(root: Path, suite: str, source: str) -> None:
    words = ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", suite, str(root), source]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def mount(root: Path) -> None:
    """Give it /proc, terminals and shared memory, and what pip's configuration names."""
    settings = pip_settings()
    words = [word.removeprefix("file://") for value in settings.values() for word in value.split()]
    paths = [Path(word) for word in words if word.startswith("/") and Path(word).exists()]
    # An index refers to files beside itself.
    folders = {path.parent if path.name == "simple" else path for path in paths if path.is_dir()}
    for folder in sorted(folders):
        inside = root / str(folder).lstrip("/")
        inside.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", "-o", "ro", str(folder), str(inside)], check=True)
    for name in ("null", "urandom"):
        (root / "dev" / name).touch()
        subprocess.run(["mount", "--bind", f"/dev/{name}", str(root / "dev" / name)], check=True)
    for kind, name, options in KERNELS:
        (root / name).mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", kind, "-o", options, kind, str(root / name)], check=True)
    (root / "dev/ptmx").unlink(missing_ok=True)
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    system = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")
    for path in (*map(Path, system), *(path for path in paths if path.is_file())):
        if path.exists():
            copy(path, root)
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    (root / "etc/pip.conf").write_text(f"[global]\n{lines}")


def copy(path: Path, root: Path) -> None:
    target = root / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def copy_repository(root: Path) -> None:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (REPOSITORY / name).is_file():
            target = root / COPY.lstrip("/") / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target)


def try_out(fresh: Fresh) -> None:
    """Install, run as a service, change the configuration, upgrade, uninstall; then the other way to install."""
    fresh.write(RADIO, "#!/bin/sh\nexec sleep infinity\n", 0o755)
    fresh.sh(block("install"))
    fresh.sh("lora-post check --offline && test -f /etc/lora-post/lora-post.toml")
    fresh.sh("systemd-analyze verify --man=no " + " ".join(f"{UNITS}{kind}" for kind in KINDS))
    fresh.sh("PIP_NO_INDEX=1 " + block("upgrade").strip().replace("sudo ", ""))  # nothing is downloaded twice
    nobody = '[waziup]\nurl = "http://127.0.0.1:9/api/v2"'
    fresh.write("/etc/lora-post/lora-post.toml", block("site", README).replace("[waziup]", nobody), 0o640)
    fresh.write("/etc/lora-post/waziup.password", "secret\n", 0o600)
    fresh.sh("lora-post check --offline")
    # systemd does not run in here, so nothing can be started.
    fresh.sh(block("service").replace("--now ", "") + "systemctl enable lora-post")
    fresh.sh("test -L /etc/systemd/system/multi-user.target.wants/lora-post.service")
    fresh.sh(f"systemd-analyze verify --man=no {UNITS}.service {UNITS}-radio.service {UNITS}-radio.socket")
    fresh.sh(f"systemd-analyze security --offline=true --threshold=25 --no-pager {UNITS}.service | tail -1")
    fresh.sh("test $(stat -c %U:%G:%a /etc/lora-post/waziup.password) = root:lora-post:640")
    fresh.sh("mkdir -p /var/lib/lora-post && chown lora-post:lora-post /var/lib/lora-post")
    fresh.sh("sudo -u lora-post lora-post check --offline && sudo -u lora-post lora-post run </dev/null")
    fresh.sh(block("uninstall"))
    fresh.sh("! command -v lora-post && test -f /etc/lora-post/lora-post.toml")
    fresh.sh(block("install-pipx"))
    fresh.sh(f"lora-post service install -- {RADIO} --raw")
    fresh.sh(f"systemd-analyze verify --man=no {UNITS}.service {UNITS}-radio.service {UNITS}-radio.socket")


def try_demo(fresh: Fresh) -> None:
    """The README's first command, as a user."""
    fresh.as_user(block("demo", README).strip())


def try_tests(fresh: Fresh) -> None:
    """The README's second command: as a user the tests that want more are skipped and named, as root none is."""
    fresh.sh("! command -v mosquitto && ! command -v chromium && ! command -v tshark")
    fresh.as_user(f"{block('tests', README).strip()} | tee /tmp/tests && grep 'apt-get install chromium' /tmp/tests")
    fresh.sh(f"CI=true {block('tests', README).strip()}")


PARTS = {"install": try_out, "demo": try_demo, "tests": try_tests}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="install, demo, tests; default: install demo")
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--mirror", default=mirror(), help="default: the one of this system")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := sorted(set(given.parts) - set(PARTS)):
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    if given.mirror is None:
        parser.error("this system has no mirror of Debian; name one with --mirror")
    if given.inside is not None:
        bootstrap(given.inside, given.suite, given.mirror)
        copy_repository(given.inside)
        mount(given.inside)
        Path(given.inside, "etc/apt/apt.conf.d/99yes").write_text('APT::Get::Assume-Yes "true";\n')
        Fresh(given.inside).sh("apt-get update -qq && apt-get install -qq python3-venv >/dev/null")
        for part in given.parts or ("install", "demo"):
            PARTS[part](Fresh(given.inside))
        return
    with tempfile.TemporaryDirectory() as folder:
        # In a mount namespace of its own: nothing of this machine is mounted there when the folder is removed.
        alone = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.fresh_debian"]
        # Not the folder itself, which nobody but root may enter.
        subprocess.run([*alone, *sys.argv[1:], "--inside", f"{folder}/root"], check=True, cwd=REPOSITORY)
    print("what the pages say works")


if __name__ == "__main__":
    main()
