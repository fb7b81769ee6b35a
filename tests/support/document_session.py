"""A working copy of the tree in which command blocks of pages run, on small data and free ports."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from PIL import Image

from beam_preprocess.synthetic.shop import write_shop
from tests.support import public_sets, shop_exports
from tests.support.document_blocks import Block

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 2400.0
# What makes a run short; a page's own settings come before and lose. A gate means nothing on forty items.
SHORT = (
    "--preset tiny --set train.epochs=2 --set train.max_steps=30 --set train.batch_size=16 "
    "--set tower.text.vocab_size=400 --min_lift_over_popularity=-1"
)
SHORT_FLAGS = {
    "tfx_pipeline.py": SHORT,
    "vitrine run": SHORT,
    "beam_preprocess": "--preset tiny",
    "vitrine preprocess": "--preset tiny",
    "trainer.task": "--preset tiny --train.epochs=2 --train.batch_size=16",
    "vitrine train": "--preset tiny --train.epochs=2 --train.batch_size=16",
    "make-shop": "--items 40 --users 20 --events 1200",
    "synthetic.shop": "--items 40 --users 20 --events 1200",
}
_LEFT_OUT = {".git", ".venv", "runs", "build", "dist", "DATA"}


class Session:
    """A working copy in which blocks run one after the other, as a reader of the page would run them.

    Args:
      folder: An empty folder; gets links to the tree, a small shop, small public sets and `runs/`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tree"
        self.folder.mkdir(parents=True)
        for entry in ROOT.iterdir():
            if entry.name not in _LEFT_OUT:
                (self.folder / entry.name).symlink_to(entry)
        (self.folder / ".venv").symlink_to(sys.prefix)
        shop = self.folder / "runs" / "demo" / "demo_shop"  # where `make demo` writes the generated one
        write_shop(shop, items=40, users=20, events=1200, seed=7)
        for photo in (shop / "media" / "photos").glob("*.png"):  # the pages name photos that are JPEG in the large shop
            Image.open(photo).convert("RGB").save(photo.with_suffix(".jpg"))
        public_sets.write_all(self.folder / "DATA")
        shop_exports.write(self.folder)
        self.ports = {"8500": str(_free_port()), "8501": str(_free_port())}
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "SHOP": str(shop),
            "FLAGS": SHORT,
            "PORT": self.ports["8500"],
            "REST_PORT": self.ports["8501"],
        }
        self._server: subprocess.Popen[str] | None = None
        self._python: dict[str, str] = {}  # {page: its Python blocks until now}, which are one session for a reader

    def run(self, block: Block) -> str:
        """Runs a block by its mark; returns what it printed.

        Raises:
          AssertionError: A command failed, or a server answered with an error.
        """
        if block.mode == "server":
            return self._start(block)
        if block.language == "python":
            page = block.place.partition(":")[0]
            self._python[page] = self._python.get(page, "") + self._with_ports(block.text)
            interpreter = str(self.folder / ".venv" / "bin" / "python")
            return self._check([interpreter, "-c", self._python[page]], place=block.place)
        return "\n".join(self.run_command(block, command) for command in block.commands)

    def run_command(self, block: Block, command: str) -> str:
        """Runs one command of a block of a shell; returns what it printed."""
        line = self.line_of(command, dry=block.mode == "dry")
        return self._check(["bash", "-c", line], place=f"{block.place}: {line}")

    def line_of(self, command: str, *, dry: bool = False) -> str:
        """A command with small data, free ports, and an environment that is taken as it is."""
        line = self._with_ports(command)
        if line.startswith("make "):
            return line.replace("make ", f"make {'-n ' if dry else ''}-o .venv/.installed ", 1)
        for program, flags in SHORT_FLAGS.items():
            if re.search(rf"(^|[\s/.]){re.escape(program)}(\s|$)", line):
                return f"{line} {flags}"
        return line

    def close(self) -> None:
        """Stops the server."""
        if self._server is not None:
            _end(self._server)
        self._server = None

    def _with_ports(self, text: str) -> str:
        for port, free in self.ports.items():
            text = re.sub(rf"(?<!\d){port}(?!\d)", free, text)
        return text

    def _check(self, arguments: list[str], *, place: str) -> str:
        process = self._open(arguments, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=SECONDS)
        finally:
            _end(process)
        end = f"{out[-3000:]}\n{err[-3000:]}"
        assert process.returncode == 0, f"{place} ended with {process.returncode}:\n{end}"
        assert '"error":' not in out, f"{place} was answered with an error:\n{end}"
        return out

    def _open(self, arguments: list[str], *, stderr: int) -> subprocess.Popen[str]:
        """Starts a program in the working copy, in a process group of its own."""
        return subprocess.Popen(
            arguments,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    def _start(self, block: Block) -> str:
        """Starts the server of a block, in the place of the one before, and waits for its ready line."""
        self.close()
        (command,) = block.commands
        self._server = self._open(["bash", "-c", f"exec {self.line_of(command)}"], stderr=subprocess.STDOUT)
        assert self._server.stdout is not None
        seen, is_ready = [], threading.Event()
        threading.Thread(target=_read, args=(self._server.stdout, seen, is_ready), daemon=True).start()
        assert is_ready.wait(SECONDS), f"{block.place} is not ready:\n{''.join(seen[-40:])}"
        assert self._server.poll() is None, f"{block.place} ended:\n{''.join(seen[-40:])}"
        return "".join(seen)


def _end(process: subprocess.Popen[str]) -> None:
    """Stops a process and what it started; whatever has ended already is left alone."""
    for number, seconds in ((signal.SIGTERM, 60.0), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(seconds)


def _read(stream: IO[str], seen: list[str], is_ready: threading.Event) -> None:
    for line in stream:
        seen.append(line)
        if "vitrine server ready" in line:
            is_ready.set()
    is_ready.set()  # it ended


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
