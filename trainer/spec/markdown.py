"""Markdown tables of the declarations, for the pages in `docs/`."""

import re
from collections.abc import Iterable, Mapping, Sequence

from trainer.spec.config import Config
from trainer.spec.feature_list import features_of
from trainer.spec.features import Axis, Feature, Side
from trainer.spec.records import RECORDS, Field
from trainer.spec.serving import search_fields
from trainer.spec.serving.signature_fields import Signature, SignatureField
from trainer.spec.serving.signatures import signatures
from trainer.spec.tasks import INTENT_ADJUSTMENTS

_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def fill(page: str) -> str:
    """Returns `page` with every `<!-- table: NAME --> … <!-- end -->` block filled with the table of that name.

    Raises:
      ValueError: A block names a table that does not exist.
    """
    known = tables(Config())

    def replace(block: re.Match[str]) -> str:
        if block[2] not in known:
            raise ValueError(f"Unknown table {block[2]!r}; wanted one of {', '.join(known)}. Correct the page.")
        return f"{block[1]}{known[block[2]]}\n{block[3]}"

    return _BLOCK.sub(replace, page)


def tables(config: Config) -> dict[str, str]:
    """Returns every table by its name."""
    return {
        **{record: _fields(fields) for record, fields in RECORDS.items()},
        **{f"{side.value}_features": _features(features_of(side)) for side in Side},
        "axes": _table(
            ("axis", "length in the default configuration"),
            ((f"`{axis.value}`", str(getattr(config.wire, axis.value))) for axis in Axis),
        ),
        "signatures": _signatures(config),
        "input_groups": _groups(input_groups(config)),
        "output_groups": _groups(output_groups(config)),
        "intent_adjustments": _table(
            ("intent", "adds"),
            (
                (f"`{intent}`", ", ".join(f"{value:g} to `{name}`" for name, value in shifts.items()))
                for intent, shifts in INTENT_ADJUSTMENTS.items()
            ),
        ),
        "inputs": _ports(_unique(port for s in signatures(config) for port in s.inputs), inputs=True),
        "outputs": _ports(_unique(port for s in signatures(config) for port in s.outputs), inputs=False),
    }


def input_groups(config: Config) -> dict[str, tuple[str, ...]]:
    """{group: names of its inputs}: what a request is about, how it is mixed, filtered, paged, scored and reordered."""
    return {
        "query": tuple(feature.name for feature in features_of(Side.QUERY)),
        "mix": _names_of(search_fields.query_mix_inputs()),
        "filter": _names_of(search_fields.filter_inputs()),
        "page": ("page", "page_size"),
        "weights": _names_of(search_fields.weight_inputs(config)),
        "boost": _names_of(search_fields.reordering_inputs()),
        "item": tuple(feature.name for feature in features_of(Side.ITEM) if feature.modality is not None),
    }


def output_groups(config: Config) -> dict[str, tuple[str, ...]]:
    """{group: names of its outputs}; an output that `rank` has as well is not among `results`."""
    ranked = _names_of(search_fields.rank_outputs(config))
    understood = _names_of(search_fields.query_understanding_outputs(config))
    status = _names_of(search_fields.status_outputs())
    explained = _names_of(search_fields.explain_outputs(config))
    return {
        "results": ("ids", "boosts", "num_variants", "display", "num_results", "total_matches", "query_weights"),
        "scores": tuple(name for name in ranked if name not in {*understood, *status}),
        "contributions": tuple(name for name in explained if name.startswith("contribution_")),
        "understanding": understood,
        "status": status,
    }


def _names_of(fields: Iterable[SignatureField]) -> tuple[str, ...]:
    return tuple(field.name for field in fields)


def _groups(groups: Mapping[str, tuple[str, ...]]) -> str:
    return _table(("group", "names"), ((f"**{group}**", _names(names)) for group, names in groups.items()))


def _signatures(config: Config) -> str:
    ingoing, outgoing = input_groups(config), output_groups(config)

    def row(signature: Signature) -> tuple[str, ...]:
        inputs = _grouped(_names_of(signature.inputs), ingoing)
        return f"`{signature.name}`", signature.doc, inputs, _grouped(_names_of(signature.outputs), outgoing)

    return _table(("signature", "purpose", "inputs", "outputs"), map(row, signatures(config)))


def _grouped(names: Sequence[str], groups: Mapping[str, tuple[str, ...]]) -> str:
    """`names` with every group that is there as a whole replaced by its own name."""
    whole = {group: members for group, members in groups.items() if set(members) <= set(names)}
    inside = {name for members in whole.values() for name in members}
    return " ".join([*(f"**{group}**" for group in whole), *(f"`{name}`" for name in names if name not in inside)])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def _names(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def _fields(fields: Iterable[Field]) -> str:
    def kind(field: Field) -> str:
        return f"one of {', '.join(field.choices)}" if field.choices else field.kind.value

    rows = ((f"`{f.name}`" + ("*" if f.required else ""), kind(f), f.doc) for f in fields)
    return _table(("field", "type", "meaning"), rows)


def _features(features: Iterable[Feature]) -> str:
    return _table(
        ("feature", "type", "shape", "default", "branch", "meaning"),
        (
            (
                f"`{f.name}`",
                f.dtype.value,
                f"[{', '.join(axis.value for axis in f.axes)}]",
                _literal(f.default),
                f.modality.value if f.modality else "",
                f.doc,
            )
            for f in features
        ),
    )


def _ports(ports: Iterable[SignatureField], *, inputs: bool) -> str:
    head = ("input", "type", "shape", "default", "meaning") if inputs else ("output", "type", "shape", "meaning")

    def row(port: SignatureField) -> list[str]:
        shape = ", ".join(["batch", *("any" if length is None else str(length) for length in port.shape)])
        default = [] if not inputs else ["required" if port.default is None else _literal(port.default)]
        return [f"`{port.name}`", port.dtype.value, f"[{shape}]", *default, port.doc]

    return _table(head, map(row, ports))


def _unique(ports: Iterable[SignatureField]) -> list[SignatureField]:
    return list(dict.fromkeys(ports))


def _literal(value: bytes | float | int) -> str:
    return f'`"{value.decode()}"`' if isinstance(value, bytes) else f"`{value}`"
