"""Several workers that change their models together: every one of them or none.

The worker that a `HandleReloadConfigRequest` reaches asks all, itself included, over Unix sockets in a folder that they
share: each loads what is new beside what serves. When all have, the configuration is written to that folder, which
decides it, and all switch. A worker that dies is started again with what the folder says; workers whose asker died
look there whether they are to switch.
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

from serving.server.models.model_config import ModelPlan, plans_of_config, read_plans
from serving.server.models.server_core import Models, PreparedReload
from serving.server.protocol.errors import Code, ServingError
from serving.server.telemetry.log import event
from serving.server.workers.worker import WORKERS_DIRECTORY

SERVICE = "vitrine.Workers"
TRANSACTION = "transaction"
DECISION = "models.config"
LOCK = "reload.lock"
ORPHAN_SECONDS = 1.0
GRPC_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Pending:
    transaction: str
    prepared: PreparedReload


class Cohort:
    """One worker's part in it.

    Args:
      directory: The folder that the workers share.
      worker: The number of this one, from 1.
      workers: How many there are.
    """

    def __init__(self, directory: Path, *, worker: int, workers: int) -> None:
        self._directory = directory
        self._worker = worker
        self._workers = range(1, workers + 1)
        self._pending: _Pending | None = None
        self._lock = threading.Lock()
        self._server: grpc.Server | None = None
        self._closed = threading.Event()
        self._began_with = self._decided()

    def plans(self) -> list[ModelPlan] | None:
        """The models that the workers last agreed on; None where they never did."""
        return read_plans(self._directory / DECISION) if self._decided() else None

    def join(self, models: Models) -> None:
        """Takes part from now on; catches up with what was decided while this worker started.

        Raises:
          OSError: When the socket cannot be had.
        """
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(4, thread_name_prefix="cohort"))
        handlers = {
            "Prepare": self._handler(lambda request, name: self._prepare(models, request, name)),
            "Commit": self._handler(lambda _, name: self._commit(models, name)),
            "Abort": self._handler(lambda _, name: self._end(name, commits=False)),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        try:
            self._server.add_insecure_port(self._address(self._worker))
        except RuntimeError as error:
            raise OSError(f"The socket of worker {self._worker} cannot be had.") from error
        self._server.start()
        threading.Thread(target=self._watch_for_orphans, name="cohort-orphans", daemon=True).start()
        plans = self.plans()
        if plans is not None and self._decided() != self._began_with:
            models.reload(plans)

    def leave(self) -> None:
        """Takes part no more."""
        self._closed.set()
        if self._server:
            self._server.stop(0)

    def forget(self) -> None:
        """The config file has changed since, and holds for whoever starts."""
        (self._directory / DECISION).unlink(missing_ok=True)

    def reload(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Has all workers serve the models of `config`, or none.

        Raises:
          ServingError: What a worker says against it; UNAVAILABLE when one of them is not there. Nothing was changed.
        """
        transaction = uuid.uuid4().hex
        with self._alone(wait=True):
            body = config.SerializeToString()
            failures = self._ask(self._workers, "Prepare", transaction, body)
            if failures:
                self._ask([one for one in self._workers if one not in failures], "Abort", transaction)
                raise next(iter(failures.values()))
            self._decide(transaction, config)
            for worker, failure in self._ask(self._workers, "Commit", transaction).items():
                event("worker_did_not_switch", worker=worker, reason=failure.message)

    def _ask(self, workers: Sequence[int], step: str, transaction: str, body: bytes = b"") -> dict[int, ServingError]:
        """Asks workers at once; what went wrong, by worker."""
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

    def _prepare(self, models: Models, request: bytes, transaction: str) -> None:
        self._end_orphan()
        prepared = models.prepare(plans_of_config(model_server_config_pb2.ModelServerConfig.FromString(request)))
        with self._lock:
            self._pending = _Pending(transaction=transaction, prepared=prepared)

    def _commit(self, models: Models, transaction: str) -> None:
        """Switches; a worker that was started in between loads what was decided."""
        plans = None if self._end(transaction, commits=True) else self.plans()
        if plans is not None:
            models.reload(plans)

    def _end(self, transaction: str, *, commits: bool) -> bool:
        """Ends the reload that is prepared; False, and nothing is done, where it is not, or not any more."""
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
        """Ends a reload whose asker is gone, as it was decided; to be called by who knows that there is no asker."""
        pending = self._pending
        if pending is not None:
            self._end(pending.transaction, commits=self._decided() == pending.transaction)

    def _watch_for_orphans(self) -> None:
        """Ends a reload whose asker is gone: the lock that it held is free."""
        while not self._closed.wait(ORPHAN_SECONDS):
            if self._pending is None:
                continue
            with contextlib.suppress(BlockingIOError), self._alone(wait=False):
                self._end_orphan()

    @contextlib.contextmanager
    def _alone(self, *, wait: bool) -> Iterator[None]:
        """Holds the lock of the one reload at a time; the kernel frees that of a process that died.

        Raises:
          BlockingIOError: When somebody else has it and it is not to be waited for.
        """
        with (self._directory / LOCK).open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    def _decide(self, transaction: str, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Writes what holds from now on, aside and by one rename."""
        aside = self._directory / f"{DECISION}.{transaction}"
        aside.write_text(f"# {transaction}\n{text_format.MessageToString(config)}", encoding="utf-8")
        os.replace(aside, self._directory / DECISION)

    def _decided(self) -> str:
        """The last reload that was decided; empty where there was none."""
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
                context.abort(GRPC_CODES[int(error.code)], error.message)
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


def cohort_of(*, worker: int, workers: int) -> Cohort | None:
    """The cohort of a worker of a supervised server; None for a server of one process."""
    directory = os.environ.get(WORKERS_DIRECTORY)
    return Cohort(Path(directory), worker=worker, workers=workers) if worker and directory else None
