from tests.support.golden import check_golden
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.presets import base
from trainer.spec.serving.signatures import signatures, wire_spec


def port_line(port):
    shape = ", ".join(["batch", *("?" if length is None else str(length) for length in port.shape)])
    default = "" if port.default is None else f" = {port.default!r}"
    return f"{port.name}: {port.dtype.value} [{shape}]{default}"


def test_signatures():
    lines = []
    for signature in sorted(signatures(base()), key=lambda signature: signature.name):
        lines.append(signature.name)
        lines += [f"  in  {line}" for line in sorted(map(port_line, signature.inputs))]
        lines += [f"  out {line}" for line in sorted(map(port_line, signature.outputs))]
    check_golden("signatures.txt", "\n".join(lines))


def test_every_query_feature_is_an_input_of_search():
    [search] = [signature for signature in signatures(base()) if signature.name == "search"]
    assert {feature.name for feature in features_of(Side.QUERY)} <= {port.name for port in search.inputs}


def test_every_input_has_a_default():
    # A caller may leave any of them out; gRPC and our REST fill them in.
    for signature in signatures(base()):
        assert all(port.default is not None for port in signature.inputs), signature.name


def test_search_text_needs_only_text_page_size_and_fields():
    [search_text] = [signature for signature in signatures(base()) if signature.name == "search_text"]
    assert [port.name for port in search_text.inputs] == ["query_text", "page_size", "fields"]


def test_a_client_learns_the_sizes_of_the_wire_form():
    # The base preset: photos of 64 px, 6 frames of 32 px, 10 history entries.
    spec = wire_spec(base())
    assert (spec["image_px"], spec["num_frames"], spec["frame_px"], spec["history_length"]) == (64, 6, 32, 10)
