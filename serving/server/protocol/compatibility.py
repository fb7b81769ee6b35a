"""Compatibility with TF Serving, as one value: `EXTENDED` by default, `TF_SERVING` under `--strict`."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compatibility:
    """Every deviation from TF Serving, by name. It is made once, from the flags, and handed down.

    Args:
      fills_and_pads_rows: REST rows and columns may leave out what has a default, and rows of different length are
        padded.
      checks_small_integers: An integer that does not fit int8, int16 or uint8 is an error; TF Serving wraps it.
      checks_input_limits: Numbers outside the limits that a model declares for its inputs are an error; TF Serving
        passes them to the graph.
      checks_input_shapes: Of a signature whose inputs have a default for each row, inputs of another shape or of
        different numbers of rows are an error that names them; TF Serving passes them to the graph.
      accepts_more_spellings: Over REST 3.0 is read for an integer input, one value in place of a list of any length
        in a row, and base64 also URL-safe or as a `data:` URL; TF Serving refuses them.
      names_columns: The error of a value in `inputs` names the input.
      rejects_trailing_bytes: Bytes after the JSON document are an error; TF Serving never reads them.
      writes_valid_json: Answers are valid JSON: NaN and infinities become null (and a header reports it), strings that
        are not UTF-8 get U+FFFD. TF Serving writes bare tokens and raw bytes.
      ignores_query_and_slash: A query (`?alt=json`) and a slash at the end of a URL change nothing; with TF Serving the
        URL does not match.
      has_health_urls: /healthz and /readyz exist, and gRPC's health service needs no flag.
      resolves_label_in_status: A label in the URL of a status selects its version; TF Serving ignores it.
      allows_pending_labels: At the start a label may point to a version that is still to be loaded.
      limits_message_sizes: Bodies and messages have a limit.
      runs_unbatchable_separately: Under --enable_batching a call that cannot share a batch (no common first dimension,
        too many rows, outputs that are not one row for each row) runs by itself; TF Serving refuses it.
      port_zero_is_ephemeral: Port 0 picks a free port; with TF Serving it switches the protocol off.
      hides_request_values: Errors never show values of a request, and names only where they look like names. Otherwise
        at most 256 bytes of it are shown, as TF Serving's messages have them.
      checks_ops: A model that reads or writes files, opens connections, runs Python or prints is not loaded.
      restricts_admin_calls: A call that changes something (a reload, a profile) is answered on loopback only, or with a
        token.
      listens_on_loopback: Without --host the server listens on loopback; TF Serving listens on every interface.
      has_tls_on_rest: --ssl_config_file holds for the REST port too; TF Serving's is plain text.
      gives_query_ids: An answer carries the id of its query.
      takes_events: Shops may send events where --events_dir is set.
      changes_items: Items are changed by a call of its own, with the scope update and --live_log, and by no signature;
        TF Serving runs `update_items` of a bundle for every caller. Answers over REST carry the number of the last
        change.
      has_local_metrics: Without --monitoring_config_file there is a metrics page for callers on this machine.
      reports_failures_immediately: A version that failed to load is reported as END while it waits to be tried again,
        and a reload does not wait for its retries; TF Serving reports LOADING until the last retry has failed.
    """

    fills_and_pads_rows: bool
    checks_small_integers: bool
    checks_input_limits: bool
    checks_input_shapes: bool
    accepts_more_spellings: bool
    names_columns: bool
    rejects_trailing_bytes: bool
    writes_valid_json: bool
    ignores_query_and_slash: bool
    has_health_urls: bool
    resolves_label_in_status: bool
    allows_pending_labels: bool
    limits_message_sizes: bool
    runs_unbatchable_separately: bool
    port_zero_is_ephemeral: bool
    hides_request_values: bool
    checks_ops: bool
    restricts_admin_calls: bool
    listens_on_loopback: bool
    has_tls_on_rest: bool
    gives_query_ids: bool
    takes_events: bool
    changes_items: bool
    has_local_metrics: bool
    reports_failures_immediately: bool


_FIELD_NAMES = tuple(field.name for field in dataclasses.fields(Compatibility))
EXTENDED = Compatibility(**dict.fromkeys(_FIELD_NAMES, True))
TF_SERVING = Compatibility(**dict.fromkeys(_FIELD_NAMES, False))
