"""What the server promises beyond TF Serving, as one value: `PROMISING` by default, `STRICT` under `--strict`."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behaviour:
    """Every deviation from TF Serving, by name. It is made once, from the flags, and handed down.

    Args:
      fills_rows: REST rows and columns may leave out what has a default, and rows of different length are padded.
      checks_small_integers: An integer that does not fit int8, int16 or uint8 is an error; TF Serving wraps it.
      checks_values: Numbers outside the limits that a model declares for its inputs are an error; TF Serving hands them
        to the graph.
      reads_trailing_bytes: Bytes after the JSON document are an error; TF Serving never reads them.
      writes_valid_json: Answers are valid JSON: NaN and infinities become null (and a header says so), strings that
        are not UTF-8 get U+FFFD. TF Serving writes bare tokens and raw bytes.
      has_health_urls: /healthz and /readyz exist, and gRPC's health service needs no flag.
      reads_label_of_status: A label in the URL of a status selects its version; TF Serving ignores it.
      labels_may_wait: At the start a label may point to a version that is still to be loaded.
      limits_sizes: Bodies and messages have a limit.
      runs_unbatchable_apart: Under --enable_batching a call that cannot share a batch (no common first dimension, too
        many rows, outputs that are not one row for each row) runs by itself; TF Serving refuses it.
      zero_is_a_port: Port 0 picks a free port; with TF Serving it switches the protocol off.
      hides_requests: Errors never show values of a request, and names only where they look like names. Otherwise at
        most 256 bytes of it are shown, as TF Serving's messages have them.
      checks_ops: A model that reads or writes files, opens connections, runs Python or prints is not loaded.
      guards_changes: A reload or a profile is answered on loopback only, or with a token.
      tells_failures_at_once: A version that failed to load is told as END while it waits to be tried again, and a
        reload does not wait for its retries; TF Serving says LOADING until it has given up.
    """

    fills_rows: bool
    checks_small_integers: bool
    checks_values: bool
    reads_trailing_bytes: bool
    writes_valid_json: bool
    has_health_urls: bool
    reads_label_of_status: bool
    labels_may_wait: bool
    limits_sizes: bool
    runs_unbatchable_apart: bool
    zero_is_a_port: bool
    hides_requests: bool
    checks_ops: bool
    guards_changes: bool
    tells_failures_at_once: bool


_NAMES = tuple(field.name for field in dataclasses.fields(Behaviour))
PROMISING = Behaviour(**dict.fromkeys(_NAMES, True))
STRICT = Behaviour(**dict.fromkeys(_NAMES, False))
