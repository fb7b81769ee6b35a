"""Summary of a run: counts of read, kept and dropped rows, as a value and as text."""

import dataclasses
from collections.abc import Mapping

_MAX_LISTED = 20  # names of unknown fields listed; the data may invent any number of them


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Counts of one pipeline.

    Attributes:
      record: items, events or signals.
      counts: {counter: amount}; parts of a name are separated by `/`.
    """

    record: str
    counts: Mapping[str, int]

    @property
    def dropped(self) -> int:
        """Number of rows that were not used."""
        return sum(amount for name, amount in self.counts.items() if name.startswith("dropped/"))

    def table(self) -> str:
        """Returns one line for each kind of counters, the largest first."""
        plain = {name: amount for name, amount in self.counts.items() if "/" not in name}
        kinds: dict[str, list[tuple[str, int]]] = {}
        for name, amount in self.counts.items():
            kind, slash, rest = name.partition("/")
            if slash:
                kinds.setdefault(kind, []).append((rest, amount))
        lines = [f"{self.record}: " + (", ".join(f"{name} {amount:,}" for name, amount in plain.items()) or "none")]
        for kind, found in sorted(kinds.items()):
            found.sort(key=lambda pair: (-pair[1], pair[0]))
            shown = ", ".join(f"{name} {amount:,}" for name, amount in found[:_MAX_LISTED])
            more = f", and {len(found) - _MAX_LISTED} more" if len(found) > _MAX_LISTED else ""
            lines.append(f"  {kind.replace('_', ' ')}: {shown}{more}")
        return "\n".join(lines)
