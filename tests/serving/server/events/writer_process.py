"""A process that logs events without end and prints the ids that were acknowledged; killed by its test.

python -m tests.serving.server.events.writer_process DIRECTORY PREFIX
"""

import itertools
import json
import sys
import threading
from pathlib import Path

from serving.server.events.event_log import EventLog, LoggedEvent

CALLERS = 4


def main() -> None:
    directory, prefix = Path(sys.argv[1]), sys.argv[2]
    log = EventLog(directory, max_bytes=1 << 30)
    log.start()
    printing = threading.Lock()

    def call(caller: int) -> None:
        for number in itertools.count():
            ids = [f"{prefix}-{caller}-{number}-{part}" for part in range(1 + number % 3)]
            events = [
                LoggedEvent(
                    "shop" if number % 2 else "ubi",
                    name,
                    json.dumps({"event_id": name, "pad": "x" * 500}).encode() + b"\n",
                )
                for name in ids
            ]
            log.append(events).result()
            with printing:
                print("\n".join(ids), flush=True)

    for caller in range(CALLERS):
        threading.Thread(target=call, args=(caller,), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
