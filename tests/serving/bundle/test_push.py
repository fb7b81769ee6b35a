"""Waiting for a version at a server that asks for a token: a loopback server that answers as ours does."""

import http.server
import json
import threading

import pytest

from serving.bundle.push import NotServedError, main, wait_until_served
from serving.client.transports import Credentials

TOKEN = "a-token-of-the-server"


class Handler(http.server.BaseHTTPRequestHandler):
    """Has version 3 AVAILABLE for callers with the token."""

    def do_GET(self):  # noqa: N802
        is_known = self.headers.get("authorization") == f"Bearer {TOKEN}"
        version = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        body = json.dumps({"model_version_status": [version]} if is_known else {"error": "UNAUTHENTICATED"}).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Says nothing."""


@pytest.fixture
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_token_opens_a_locked_server(url):
    states = wait_until_served(url, model_name="m", version=3, credentials=Credentials(token=TOKEN))
    assert states == {3: "AVAILABLE"}


def test_without_a_token_it_says_so_at_once(url):
    with pytest.raises(NotServedError, match=r"answers 401 .*give a token that it knows \(--token_file\)"):
        wait_until_served(url, model_name="m", version=3, wait_seconds=60.0)


def test_the_command_reads_the_token_from_a_file(url, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("serving.bundle.push.publish", lambda bundle, destination: 3)
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "bundle").mkdir()
    command = [str(tmp_path / "bundle"), str(tmp_path / "out"), "--server", url, "--wait_seconds", "5"]
    assert main([*command, "--token_file", str(tmp_path / "token")]) == 0
    assert f"serving 3 at {url}" in capsys.readouterr().out
    assert main(command) == 1
    assert main([*command, "--certificate_file", "client.pem"]) == 1
    assert "wanted both or none" in capsys.readouterr().err
