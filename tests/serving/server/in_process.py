"""A server in this process: its event loop runs in a thread, so that tests may block."""

import asyncio
import contextlib
import dataclasses
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import requests
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.server.flags import ServerFlags
from serving.server.server import Server, running


@dataclasses.dataclass(frozen=True, kw_only=True)
class Served:
    server: Server
    predictions: prediction_service_pb2_grpc.PredictionServiceStub
    models: model_service_pb2_grpc.ModelServiceStub
    url: str

    def post(self, body: object, *, signature: str = "", path: str = "") -> requests.Response:
        if isinstance(body, dict) and signature:
            body = {"signature_name": signature, **body}
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return requests.post(f"{self.url}{path or '/v1/models/toy:predict'}", timeout=120, **sent)

    def request(
        self, method: str, path: str, body: bytes | None = None, *, headers: dict[str, str] | None = None
    ) -> requests.Response:
        return requests.request(method, f"{self.url}{path}", data=body, headers=headers, timeout=120)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=120)


def content(response: requests.Response, *, strict: bool = False) -> object:
    """The answer of a model without the id of its query, which every answer has but under --strict."""
    found = response.json()
    assert strict or uuid.UUID(found.pop("query_id"))
    return found


@contextlib.contextmanager
def serve(base_path: Path | None, *, wait: bool = True, **more: object) -> Iterator[Served]:
    flags = ServerFlags(
        host="127.0.0.1",
        port=0,
        rest_api_port=0,
        **{
            "model_name": "toy",
            "model_base_path": base_path,
            "file_system_poll_wait_seconds": 0.05,
            "grace_seconds": 5.0,
            **more,
        },
    )
    loop = asyncio.new_event_loop()
    started: list[Server] = []
    go, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        async with running(flags) as server:
            if wait:
                await asyncio.wait_for(server.wait_until_ready(), 300)
            started.append(server)
            go.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(main())
        finally:
            go.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    go.wait(330)
    try:
        server = started[0]
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            yield Served(
                server=server,
                predictions=prediction_service_pb2_grpc.PredictionServiceStub(channel),
                models=model_service_pb2_grpc.ModelServiceStub(channel),
                url=f"http://127.0.0.1:{server.rest_port}",
            )
    finally:
        if started:
            loop.call_soon_threadsafe(stop.set)
        thread.join(30)
