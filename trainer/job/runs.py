"""Run folder: lock for one writer, log file of the libraries, and one line of progress for each component."""

import contextlib
import fcntl
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_LOG = logging.getLogger(__name__)
LOG_FORMAT = "%(asctime)s %(levelname).1s %(name)s: %(message)s"


class BusyError(RuntimeError):
    """Another process is writing to the same folder or store."""


@contextlib.contextmanager
def writer_lock(directory: Path) -> Iterator[None]:
    """Holds `directory` for one writing process; the lock ends with the process, however it ends.

    Raises:
      BusyError: Another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise BusyError(
                f"{directory} is being written by another run (process {holder}); wanted it for this one. "
                "Wait until that run ends, stop it, or choose another --output."
            ) from None
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


def wait_for_database(path: Path, *, seconds: float, say: Callable[[str], None] = _LOG.info) -> None:
    """Waits until no other program holds the write lock of the SQLite file `path`, where there is one.

    Raises:
      BusyError: It is still locked after `seconds`.
      ValueError: The file is not an SQLite database.
    """
    if not path.exists():
        return
    deadline, reported = time.monotonic() + seconds, False
    while True:
        try:
            with contextlib.closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            return
        except sqlite3.OperationalError as error:
            if time.monotonic() > deadline:
                raise BusyError(
                    f"The metadata store {path} is still locked after {seconds:.0f} s ({error}); "
                    "wanted to write to it. Close the program that has it open and start again; nothing is lost."
                ) from error
            if not reported:
                say(f"Waiting: the metadata store {path} is locked by another program.")
                reported = True
            time.sleep(0.3)
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"The metadata store {path} is not a readable SQLite database ({error}). Move it away and start again: "
                "the steps run again, published bundles stay."
            ) from error


@contextlib.contextmanager
def run_log(path: Path) -> Iterator[None]:
    """Redirects logging, warnings and standard error to `path`; the log of the previous run is kept.

    Standard output is not redirected: it has progress and summary.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        os.replace(path, path.with_suffix(".previous.log"))
    root, level = logging.getLogger(), logging.getLogger().level
    with path.open("a", encoding="utf-8", buffering=1) as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(stream.fileno(), 2)
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        try:
            yield
        except Exception:
            root.exception("The run failed.")
            raise
        finally:
            logging.captureWarnings(False)
            root.setLevel(level)
            root.removeHandler(handler)
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


class ComponentProgress:
    """Progress of a pipeline: one line for each component, with its time.

    The lines are logged, or go to `say`.

    Attributes:
      seconds: {component: seconds it took}, in the order of the run.
      cached: Components whose outputs came from the cache.
      running: The running component, or "".
    """

    def __init__(self, *, say: Callable[[str], None] = _LOG.info) -> None:
        self.say = say
        self.seconds: dict[str, float] = {}
        self.cached: set[str] = set()
        self.running = ""

    @contextlib.contextmanager
    def step(self, component: str, *, was_cached: Callable[[], bool]) -> Iterator[None]:
        """Times one component; `was_cached` is called at its end."""
        self.running, started = component, time.monotonic()
        yield
        self.seconds[component] = time.monotonic() - started
        if was_cached():
            self.cached.add(component)
        outcome = "unchanged" if component in self.cached else f"{self.seconds[component]:.1f} s"
        self.say(f"{time.strftime('%H:%M:%S')}  {component:<18} {outcome:>9}")
        self.running = ""
