"""Atomic checkpoints: a folder for each, its manifest with sizes and hashes written last."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from trainer.plain_paths import plain_path

_LOG = logging.getLogger(__name__)
_MANIFEST = "manifest.json"
_PREFIX = "step-"


class CheckpointError(OSError):
    """A checkpoint could not be written."""


class Checkpoints:
    """The checkpoints of one run in one folder, local or remote (`gs://`, ...).

    A folder without a manifest was never finished. A file that does not match its manifest is damaged: the checkpoint
    before is restored instead.
    """

    def __init__(self, directory: str, *, keep: int, **objects: Any) -> None:
        """Opens the checkpoints of a folder.

        Args:
          directory: The folder; it need not exist.
          keep: Number of newest checkpoints to keep.
          **objects: Models, optimizers and variables to save.
        """
        self.directory = directory.rstrip("/")
        self._keep = keep
        self._checkpoint = tf.train.Checkpoint(**objects)

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Writes the checkpoint of `step` with the plain values of `state`; then removes the oldest.

        Raises:
          CheckpointError: It could not be written; those before it are as they were.
        """
        folder = f"{self.directory}/{_PREFIX}{step:010d}"
        try:
            _remove(folder)
            tf.io.gfile.makedirs(folder)
            self._checkpoint.write(f"{folder}/weights")
            files = {name: _describe(f"{folder}/{name}") for name in sorted(tf.io.gfile.listdir(folder))}
            manifest = json.dumps({"step": step, "state": dict(state), "files": files}, indent=1)
            _write_whole(f"{folder}/{_MANIFEST}", manifest)
        except (tf.errors.OpError, OSError) as error:
            _remove(folder)
            kept = self.steps()
            there = f"that of step {kept[-1]} is intact" if kept else "there is none before it"
            raise CheckpointError(
                f"The checkpoint of step {step} could not be written to {self.directory} ({_first_line(error)}); "
                f"{there}. Make room there, or choose another folder, and start again to continue."
            ) from error
        for old in self.steps()[: -self._keep]:
            _remove(f"{self.directory}/{_PREFIX}{old:010d}")

    def restore(self, *, partly: bool = False) -> dict[str, Any] | None:
        """Restores the newest checkpoint that is not damaged; None when there is none.

        Args:
          partly: Whether the checkpoint may hold more objects than those given here.

        Returns:
          Its `state`, with `step`.
        """
        for step in reversed(self.steps()):
            folder = f"{self.directory}/{_PREFIX}{step:010d}"
            try:
                manifest = json.loads(_read(f"{folder}/{_MANIFEST}"))
                for name, expected in manifest["files"].items():
                    if _describe(f"{folder}/{name}") != expected:
                        raise ValueError(f"{name} is not what was written")
                status = self._checkpoint.read(f"{plain_path(folder)}/weights")
                status.expect_partial() if partly else status.assert_consumed()
                return {**manifest["state"], "step": manifest["step"]}
            except (tf.errors.OpError, OSError, ValueError, KeyError, AssertionError) as error:
                _LOG.warning("The checkpoint %s is damaged (%s); taking the one before it.", folder, _first_line(error))
        return None

    def steps(self) -> list[int]:
        """The steps of the finished checkpoints, the newest last."""
        if not tf.io.gfile.isdir(self.directory):
            return []
        names = [name.rstrip("/") for name in tf.io.gfile.listdir(self.directory)]
        found = [name for name in names if name.startswith(_PREFIX)]
        return sorted(
            int(name.removeprefix(_PREFIX))
            for name in found
            if tf.io.gfile.exists(f"{self.directory}/{name}/{_MANIFEST}")
        )


def _describe(path: str) -> dict[str, Any]:
    """Size and hash of a file; a local one is on disk when this returns."""
    digest, size = hashlib.sha256(), 0
    for block in _blocks(path):
        digest.update(block)
        size += len(block)
    if "://" not in path:
        _sync(path)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _blocks(path: str) -> Iterator[bytes]:
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 20):
            yield block


def _read(path: str) -> str:
    with tf.io.gfile.GFile(path, "r") as file:
        return str(file.read())


def _write_whole(path: str, text: str) -> None:
    with tf.io.gfile.GFile(f"{path}.tmp", "w") as file:
        file.write(text)
    if "://" not in path:
        _sync(f"{path}.tmp")
    tf.io.gfile.rename(f"{path}.tmp", path, overwrite=True)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder: str) -> None:
    """Removes a folder: its manifest first, so that what is left of it is never taken for a checkpoint."""
    if tf.io.gfile.exists(f"{folder}/{_MANIFEST}"):
        tf.io.gfile.remove(f"{folder}/{_MANIFEST}")
    if tf.io.gfile.isdir(folder):
        tf.io.gfile.rmtree(folder)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
