"""Debian's programs that the system tests need: found, or installed by apt where that is allowed.

`python -m tests.system.programs` installs them, and prints which of them are there and which tests are left out.
"""

import os
import shutil
import subprocess

PACKAGES = {
    "chromium": "chromium",
    "haproxy": "haproxy",
    "nginx": "nginx",
    "prometheus": "prometheus",
    "promtool": "prometheus",
}
"""Program → the Debian package that has it."""
TIMEOUT_S = 600


def find(program: str) -> str | None:
    """Where a program is; Debian's servers are not on the path of every user."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin")


def missing() -> list[str]:
    """Programs that are not installed."""
    return [program for program in PACKAGES if find(program) is None]


def install(packages: set[str]) -> str:
    """Installs packages; gives back why that was not possible, or nothing."""
    if find("apt-get") is None:
        return "there is no apt-get here"
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and find("sudo") is None:
        return "only root may install"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *sorted(packages)]):
        try:
            done = subprocess.run(
                [*prefix, "apt-get", *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                timeout=TIMEOUT_S, env=environment,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"apt-get {arguments[0]} took longer than {TIMEOUT_S} s"
        if done.returncode:
            return f"apt-get {arguments[0]} failed: {' '.join(done.stderr.split())[-200:]}"
    return ""


def main() -> None:
    """Always ends well: the tests of a program that is not there are skipped, and counted here."""
    reason = install({PACKAGES[program] for program in missing()}) if missing() else ""
    absent = missing()
    for program in PACKAGES:
        print(f"{program}: {find(program) or 'LEFT OUT'}")
    print(f"system tests: {len(PACKAGES) - len(absent)} of {len(PACKAGES)} programs, {len(absent)} left out", end="")
    print(f" ({reason or 'not installed'})" if absent else "")


if __name__ == "__main__":
    main()
