"""Hosts of a small network on this machine: each sees its own network, processes and /tmp.

Nothing leaves the bridge: it has no way out, and goes with the test.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from serve_app.serve_config import ROOT


@dataclass
class Host:
    """One host: namespaces of network, mounts and processes, and the folder that is its /tmp."""

    name: str
    namespace: str
    address: str
    folder: Path
    hosts: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _first: "subprocess.Popen[bytes] | None" = None
    _child: psutil.Process | None = None

    def start(self, command: str, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Start a shell command here, as a container starts its own."""
        log = (self.folder / "log").open("ab")
        process = subprocess.Popen(
            [
                *("nsenter", "--target", str(self._inside()), "--net", "--mount", "--pid"),
                *("--", "/bin/bash", "-c", "--", f"cd {shlex.quote(str(ROOT))}; {command}"),
            ],
            env={"PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}", "HOME": "/tmp", **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(self, command: str, environment: Mapping[str, str], seconds: float = 120) -> int:
        """Run a shell command beside what runs here, in the same /tmp; returns its exit code."""
        return self.start(command, environment).wait(seconds)

    @property
    def tmp(self) -> Path:
        """What this host sees as /tmp."""
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def died(self) -> bool:
        """Whether everything that was started here has ended."""
        return all(process.poll() is not None for process in self.processes)

    @property
    def memory(self) -> int:
        """Bytes of all processes here; what several share is counted once."""
        assert self._child is not None
        total = 0
        for process in self._child.children(recursive=True) + self._entered():
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total

    def end(self) -> None:
        """End what was started here at once; the host and its disk stay."""
        for process in self._entered():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for started in self.processes:
            started.wait(20)
        self.processes.clear()

    def lose(self) -> None:
        """End everything here at once, as a machine that is gone."""
        if self._first is not None:
            inside = self._inside()
            # The kernel ends a namespace's processes with its first.
            os.kill(inside, signal.SIGKILL)
            for started in (*self.processes, self._first):
                started.wait(20)
            self._first = None
        self.processes.clear()
        # What takes its place starts with an empty disk; files are what was mounted.
        for folder in [path for path in self.tmp.iterdir() if path.is_dir()]:
            shutil.rmtree(folder)

    def _entered(self) -> list[psutil.Process]:
        """What was started here from outside; the kernel does not count it to the first process."""
        found = []
        for started in self.processes:
            with contextlib.suppress(psutil.Error):
                found += psutil.Process(started.pid).children(recursive=True)
        return found

    def _inside(self) -> int:
        """The first process of the namespaces, which are made when the host is first used."""
        if self._first is None:
            self._first = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.namespace),
                    *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                    *("sh", "-ec", self._mounts() + "exec bash -c 'sleep infinity & wait'"),
                ],
                stdin=subprocess.DEVNULL,
                stderr=(self.folder / "log").open("ab"),
                start_new_session=True,
            )
            until(f"{self.name} has its mounts", 20, self._is_made)
        assert self._child is not None
        return self._child.pid

    def _is_made(self) -> bool:
        """Whether the shell that mounts has become the one that waits."""
        assert self._first is not None
        found = psutil.Process(self._first.pid).children()
        self._child = found[0] if found and found[0].name() == "bash" else None
        return self._child is not None

    def _mounts(self) -> str:
        keep = ""
        if ROOT.is_relative_to("/tmp"):  # the sources would vanish under the host's own /tmp
            inside = shlex.quote(str(self.tmp / ROOT.relative_to("/tmp")))
            keep = f"mkdir -p {inside}; mount --bind {shlex.quote(str(ROOT))} {inside};"
        return (
            "mount --make-rprivate /;"
            "mount -t proc proc /proc;"
            f"mount --bind {shlex.quote(str(self.hosts))} /etc/hosts;"
            f"{keep} mount --rbind {shlex.quote(str(self.tmp))} /tmp;"
            "mount -t tmpfs -o size=1g shm /dev/shm;"
        )


@contextlib.contextmanager
def network(folder: Path, *names: str) -> Iterator[dict[str, Host]]:
    """So many hosts on one bridge, which know each other by name. Needs root and iproute2."""
    mark = os.getpid() % 100_000
    bridge = f"rh{mark}"
    subnet = _free_subnet()
    hosts_file = folder / "hosts"
    hosts: dict[str, Host] = {}
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{subnet}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number, name in enumerate(names, start=2):
            own = folder / name
            own.mkdir()
            host = Host(name, f"rh{mark}-{name}", f"{subnet}.{number}", own, hosts_file)
            hosts[name] = host
            outside, inside = f"r{mark}o{number}", f"r{mark}i{number}"
            _ip("netns", "add", host.namespace)
            _ip("link", "add", outside, "type", "veth", "peer", "name", inside)
            _ip("link", "set", outside, "master", bridge, "up")
            _ip("link", "set", inside, "netns", host.namespace)
            _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", inside)
            for device in ("lo", inside):
                _ip("-n", host.namespace, "link", "set", device, "up")
            # Leads nowhere; Ray asks which address it would use for the way out.
            _ip("-n", host.namespace, "route", "add", "default", "via", f"{subnet}.1")
        hosts_file.write_text(
            "127.0.0.1 localhost\n" + "".join(f"{h.address} {h.name}\n" for h in hosts.values())
        )
        yield hosts
    finally:
        for host in hosts.values():
            with contextlib.suppress(subprocess.SubprocessError):
                host.lose()
            subprocess.run(["ip", "netns", "del", host.namespace], check=False)
        subprocess.run(["ip", "link", "del", bridge], check=False)


def until(what: str, seconds: float, true: "object") -> None:
    """Wait until a callable returns something true; what it raises meanwhile counts as no."""
    assert callable(true)
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            if true():
                return
            last = "no"
        except Exception as error:
            last = error
        time.sleep(0.3)
    raise AssertionError(f"not after {seconds:.0f} s: {what} ({last})")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _free_subnet() -> str:
    used = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    for third in range(1, 255):
        if f"10.203.{third}." not in used:
            return f"10.203.{third}"
    raise RuntimeError("no free subnet for the rehearsal")
