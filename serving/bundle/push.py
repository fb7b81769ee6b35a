"""Push: publishes a bundle and waits until the servers have it AVAILABLE.

    python -m serving.bundle.push BUNDLE DESTINATION [--server URL]

A version on disk may still fail to load, or be hidden by a larger number. With `--server` the push succeeds only when
every named server has the version AVAILABLE.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from serving.bundle.publish import local_newest, publish
from serving.client.transports import Credentials

POLL_SECONDS = 0.2
REQUEST_SECONDS = 5.0
DEFAULT_WAIT_SECONDS = 120.0
END, AVAILABLE = "END", "AVAILABLE"
_REFUSALS = (401, 403)
_ANONYMOUS = Credentials()


class NotServedError(RuntimeError):
    """A pushed version that a server does not serve; the message has the states of its versions."""


def wait_until_served(
    url: str,
    *,
    model_name: str,
    version: int,
    wait_seconds: float = DEFAULT_WAIT_SECONDS,
    credentials: Credentials = _ANONYMOUS,
) -> dict[int, str]:
    """Waits until a server has a version AVAILABLE.

    Args:
      url: Root of the server's REST surface; TF Serving's will do.
      model_name: The model's name there.
      version: The number that was published.
      wait_seconds: Maximum waiting time.
      credentials: Token, authorities and certificate for a server that asks for them.

    Returns:
      {version: state} on the server.

    Raises:
      NotServedError: The server unloaded the version, did not serve it in time, or did not answer.
    """
    deadline, states, reason = time.monotonic() + wait_seconds, dict[int, str](), "it did not answer"
    while True:
        try:
            entries = _version_status(url, model_name, credentials)
        except (requests.RequestException, ValueError, AttributeError) as error:
            entries, reason = [], f"it did not answer ({type(error).__name__})"
        if entries:
            states = {int(entry["version"]): entry["state"] for entry in entries}
            reason = f"it has {_states_text(states)}"
        if states.get(version) == AVAILABLE:
            return states
        if states.get(version) == END:
            message = _error_message(entries, version)
            raise NotServedError(f"{url} gave version {version} up: {message}; it has {_states_text(states)}.")
        if time.monotonic() > deadline:
            raise NotServedError(f"{url} does not serve version {version} after {wait_seconds:g} s: {reason}.")
        time.sleep(POLL_SECONDS)


def _version_status(url: str, model_name: str, credentials: Credentials) -> list[dict[str, Any]]:
    options = credentials.requests_options()
    answer = requests.get(f"{url.rstrip('/')}/v1/models/{model_name}", timeout=REQUEST_SECONDS, **options)
    if answer.status_code in _REFUSALS:
        raise NotServedError(
            f"{url} answers {answer.status_code} to a question about its versions; give a token that it knows "
            "(--token_file)."
        )
    return answer.json().get("model_version_status", [])  # type: ignore[no-any-return]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns 0 when the version is published and served by every `--server`, 1 otherwise."""
    options = parser().parse_args(arguments)
    try:
        credentials = _credentials(options)
        with local_newest(options.bundle) as bundle_dir:
            version = publish(bundle_dir, options.destination)
        print(f"published {version}", flush=True)
        for url in options.server:
            wait_until_served(
                url,
                model_name=options.model_name,
                version=version,
                wait_seconds=options.wait_seconds,
                credentials=credentials,
            )
            print(f"serving {version} at {url}", flush=True)
    except (NotServedError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m serving.bundle.push", description=__doc__.splitlines()[0])
    made.add_argument("bundle", help="folder with stock/N and scann/N")
    made.add_argument("destination", help="base folder of the published versions, local or a URI")
    made.add_argument("--server", action="append", default=[], help="REST root of a server; may be repeated")
    made.add_argument("--model_name", default="vitrine", help="name of the model there (default: %(default)s)")
    made.add_argument("--wait_seconds", type=float, default=DEFAULT_WAIT_SECONDS, help="default: %(default)s")
    made.add_argument("--token_file", type=Path, help="file of one word, the token for servers that ask for one")
    made.add_argument("--ca_file", type=Path, help="PEM file of the authorities that signed the servers' certificates")
    made.add_argument("--certificate_file", type=Path, help="PEM file of the certificate for servers that ask for one")
    made.add_argument("--key_file", type=Path, help="PEM file of its key")
    return made


def _credentials(options: argparse.Namespace) -> Credentials:
    token = options.token_file.read_text(encoding="utf-8").strip() if options.token_file else ""
    return Credentials(
        token=token, ca_path=options.ca_file, certificate_path=options.certificate_file, key_path=options.key_file
    )


def _states_text(states: dict[int, str]) -> str:
    return ", ".join(f"{version} {state}" for version, state in sorted(states.items(), reverse=True))


def _error_message(entries: list[dict[str, Any]], version: int) -> str:
    messages = [entry["status"]["error_message"] for entry in entries if int(entry["version"]) == version]
    return messages[0] if messages and messages[0] else "without a reason"


if __name__ == "__main__":
    sys.exit(main())
