"""Two-phase reload over several workers: all of them change their models, or none.

The worker that a `HandleReloadConfigRequest` reaches is the coordinator. It calls all workers, itself included, over
Unix sockets in a folder that they share: each loads new models beside those that serve. When all have, the
configuration is written to that folder, which commits it, and all switch. A worker that dies is started again with the
committed configuration; workers whose coordinator died read there whether they are to switch.
"""

import concurrent.futures
import contextlib
import dataclasses
import fcntl
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.server.models.model_config import ModelConfig, model_configs_from_proto, read_model_configs
from serving.server.models.server_core import PreparedReload, ServerCore
from serving.server.protocol.errors import Code, ServingError
from serving.server.protocol.grpc_status import GRPC_STATUS
from serving.server.telemetry.log import log_event
from serving.server.workers.worker import WORKERS_DIRECTORY

SERVICE = "vitrine.Workers"
TRANSACTION = "transaction"
DECISION = "models.config"
LOCK = "reload.lock"
ORPHAN_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Pending:
    transaction: str
    prepared: PreparedReload


class ReloadGroup:
    """One worker's part in two-phase reloads.

    Args:
      directory: The folder that the workers share.
      worker: The number of this one, from 1.
      workers: The number of workers.
    """

    def __init__(self, directory: Path, *, worker: int, workers: int) -> None:
        self._directory = directory
        self._worker = worker
        self._workers = range(1, workers + 1)
        self._pending: _Pending | None = None
        self._lock = threading.Lock()
        self._server: grpc.Server | None = None
        self._closed = threading.Event()
        self._committed_at_start = self._last_committed()

    def agreed_configs(self) -> list[ModelConfig] | None:
        """Returns the models that the workers last agreed on; None before the first reload."""
        return read_model_configs(self._directory / DECISION) if self._last_committed() else None

    def join(self, core: ServerCore) -> None:
        """Joins the group; catches up with a reload that was committed while this worker started.

        Raises:
          OSError: When the socket cannot be had.
        """
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(4, thread_name_prefix="reload-group"))
        handlers = {
            "Prepare": self._handler(lambda request, name: self._prepare(core, request, name)),
            "Commit": self._handler(lambda _, name: self._commit(core, name)),
            "Abort": self._handler(lambda _, name: self._end(name, commits=False)),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        try:
            self._server.add_insecure_port(self._address(self._worker))
        except RuntimeError as error:
            raise OSError(f"The socket of worker {self._worker} cannot be had.") from error
        self._server.start()
        threading.Thread(target=self._watch_for_orphans, name="reload-orphans", daemon=True).start()
        configs = self.agreed_configs()
        if configs is not None and self._last_committed() != self._committed_at_start:
            core.reload(configs)

    def close(self) -> None:
        """Leaves the group."""
        self._closed.set()
        if self._server:
            self._server.stop(0)

    def forget_agreement(self) -> None:
        """Drops the agreed configuration: the config file has changed since, and holds for workers that start."""
        (self._directory / DECISION).unlink(missing_ok=True)

    def reload(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Makes all workers serve the models of `config`, or none.

        Raises:
          ServingError: The failure of a worker; UNAVAILABLE when one of them is not there. Nothing was changed.
        """
        transaction = uuid.uuid4().hex
        with self._exclusive(wait=True):
            body = config.SerializeToString()
            failures = self._call_workers(self._workers, "Prepare", transaction, body)
            if failures:
                self._call_workers([one for one in self._workers if one not in failures], "Abort", transaction)
                raise next(iter(failures.values()))
            self._write_decision(transaction, config)
            for worker, failure in self._call_workers(self._workers, "Commit", transaction).items():
                log_event("worker_did_not_switch", worker=worker, reason=failure.message)

    def _call_workers(
        self, workers: Sequence[int], step: str, transaction: str, body: bytes = b""
    ) -> dict[int, ServingError]:
        """Calls workers at once; returns the failures by worker."""
        failures: dict[int, ServingError] = {}
        with contextlib.ExitStack() as stack:
            answers = {}
            for worker in workers:
                channel = stack.enter_context(grpc.insecure_channel(self._address(worker)))
                call = channel.unary_unary(f"/{SERVICE}/{step}")
                answers[worker] = call.future(body, metadata=((TRANSACTION, transaction),))
            for worker, answer in answers.items():
                try:
                    answer.result()
                except grpc.RpcError as error:
                    failures[worker] = self._failure(worker, error)
        return failures

    def _failure(self, worker: int, error: grpc.RpcError) -> ServingError:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return ServingError(
                Code.UNAVAILABLE, f"Worker {worker} is not there (yet); nothing was changed. Try again later."
            )
        return ServingError(Code[error.code().name], error.details() or "")

    def _prepare(self, core: ServerCore, request: bytes, transaction: str) -> None:
        self._end_orphan()
        prepared = core.prepare(model_configs_from_proto(model_server_config_pb2.ModelServerConfig.FromString(request)))
        with self._lock:
            self._pending = _Pending(transaction=transaction, prepared=prepared)

    def _commit(self, core: ServerCore, transaction: str) -> None:
        """Switches; a worker that was started in between loads the committed configuration."""
        configs = None if self._end(transaction, commits=True) else self.agreed_configs()
        if configs is not None:
            core.reload(configs)

    def _end(self, transaction: str, *, commits: bool) -> bool:
        """Ends the prepared reload; False where there is none of that transaction."""
        with self._lock:
            pending = self._pending
            if pending is None or pending.transaction != transaction:
                return False
            self._pending = None
        if commits:
            pending.prepared.commit()
        else:
            pending.prepared.abort()
        return True

    def _end_orphan(self) -> None:
        """Ends a reload whose coordinator is gone, as it was decided; the caller must hold the reload lock."""
        pending = self._pending
        if pending is not None:
            self._end(pending.transaction, commits=self._last_committed() == pending.transaction)

    def _watch_for_orphans(self) -> None:
        """Ends a reload whose coordinator is gone: the lock that it held is free."""
        while not self._closed.wait(ORPHAN_SECONDS):
            if self._pending is None:
                continue
            with contextlib.suppress(BlockingIOError), self._exclusive(wait=False):
                self._end_orphan()

    @contextlib.contextmanager
    def _exclusive(self, *, wait: bool) -> Iterator[None]:
        """Holds the lock of reloads; the kernel frees that of a process that died.

        Raises:
          BlockingIOError: When another process has it and `wait` is False.
        """
        with (self._directory / LOCK).open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    def _write_decision(self, transaction: str, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Commits a configuration: written aside, then renamed."""
        aside = self._directory / f"{DECISION}.{transaction}"
        aside.write_text(f"# {transaction}\n{text_format.MessageToString(config)}", encoding="utf-8")
        os.replace(aside, self._directory / DECISION)

    def _last_committed(self) -> str:
        """The transaction that was committed last; empty where there was none."""
        try:
            with (self._directory / DECISION).open(encoding="utf-8") as stream:
                return stream.readline().removeprefix("#").strip()
        except FileNotFoundError:
            return ""

    def _address(self, worker: int) -> str:
        return f"unix:{self._directory}/{worker}.sock"

    def _handler(self, step: Callable[[bytes, str], object]) -> grpc.RpcMethodHandler:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            transaction = str(dict(context.invocation_metadata()).get(TRANSACTION, ""))
            try:
                step(request, transaction)
            except ServingError as error:
                context.abort(GRPC_STATUS[error.code], error.message)
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


def reload_group_of(*, worker: int, workers: int) -> ReloadGroup | None:
    """Returns the group of a worker of a supervised server; None for a server of one process."""
    directory = os.environ.get(WORKERS_DIRECTORY)
    return ReloadGroup(Path(directory), worker=worker, workers=workers) if worker and directory else None
