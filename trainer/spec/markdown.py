"""The declarations as Markdown tables, for the pages in `docs/` that must not drift from them."""

import re
from collections.abc import Iterable, Sequence

from trainer.spec.config import Config
from trainer.spec.features import Axis, Feature, Side, features_of
from trainer.spec.records import RECORDS, Field
from trainer.spec.serving.signature_fields import SignatureField
from trainer.spec.serving.signatures import signatures
from trainer.spec.tasks import INTENT_ADJUSTMENTS

_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def fill(page: str) -> str:
    """`page` with every `<!-- table: NAME --> … <!-- end -->` block filled with the table of that name.

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
    """Every table by its name."""
    return {
        **{record: _fields(fields) for record, fields in RECORDS.items()},
        **{f"{side.value}_features": _features(features_of(side)) for side in Side},
        "axes": _table(
            ("axis", "length in the default configuration"),
            ((f"`{axis.value}`", str(getattr(config.wire, axis.value))) for axis in Axis),
        ),
        "signatures": _table(
            ("signature", "what it does", "inputs", "outputs"),
            (
                (f"`{s.name}`", s.doc, _names(port.name for port in s.inputs), _names(port.name for port in s.outputs))
                for s in signatures(config)
            ),
        ),
        "intent_shifts": _table(
            ("intent", "adds"),
            (
                (f"`{intent}`", ", ".join(f"{value:g} to `{name}`" for name, value in shifts.items()))
                for intent, shifts in INTENT_ADJUSTMENTS.items()
            ),
        ),
        "inputs": _ports(_unique(port for s in signatures(config) for port in s.inputs), inputs=True),
        "outputs": _ports(_unique(port for s in signatures(config) for port in s.outputs), inputs=False),
    }


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
