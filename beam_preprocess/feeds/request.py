"""Import request: flags of the command lines that name a shop's exports, and the import that they ask for."""

import argparse
import dataclasses
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from beam_preprocess.feeds.feed import AUTO, ImportOptions, split_name
from beam_preprocess.feeds.importer import CATALOG, ShopFeeds, check_limits, import_shop
from beam_preprocess.feeds.kinds import KINDS
from beam_preprocess.feeds.report import MappingReport
from beam_preprocess.feeds.shop_feeds import directory_feeds, named_feeds
from beam_preprocess.feeds.values import numbers
from beam_preprocess.feeds.values.numbers import Point
from beam_preprocess.feeds.values.times import moment
from beam_preprocess.feeds.writers import read_records, write_catalog
from beam_preprocess.media.web.fetched_file import fetched_file
from beam_preprocess.media.web.rules import web_address
from trainer.pseudonyms import user_keys
from trainer.spec.config import DataConfig

_LOG = logging.getLogger("vitrine.preprocess.import")
_POINTS = {"point": Point.POINT, "comma": Point.COMMA}
_DATES = {"day_first": True, "month_first": False}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """Request for the import of a shop's exports.

    Attributes:
      source: Directory of a whole shop, or one export; "" where `catalog` and `events` name the exports.
      kind: Kind of its files.
      catalog: Catalogue feeds: `KIND:PATH`, or a program's own records (`beam_preprocess.feeds.frames`).
      events: Events feeds, as in `catalog`.
      mapping: {field: column} of the person's own.
      decimal: `point` or `comma` where the person decides it.
      dates: `day_first` or `month_first` where the person decides it.
      currency: ISO 4217 code of prices that name none, "" where the exports name it.
      as_of: Moment by which sales are judged; "" for now.
      fetch: Values of the flags of fetching, for exports at web addresses.
      write: Targets of the cleaned catalogue, `FORM:PATH` (`beam_preprocess.feeds.writers`).
    """

    source: str = ""
    kind: str = AUTO
    catalog: tuple[Any, ...] = ()
    events: tuple[Any, ...] = ()
    mapping: Mapping[str, str] = dataclasses.field(default_factory=dict)
    decimal: str = ""
    dates: str = ""
    currency: str = ""
    as_of: str = ""
    fetch: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    write: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        options: argparse.Namespace,
        *,
        source: str = "",
        kind: str = AUTO,
        fetch: Mapping[str, Any] | None = None,
    ) -> "ImportRequest":
        """Returns the request of parsed flags.

        Raises:
          ValueError: `--map` is neither FIELD=COLUMN nor a JSON file.
        """
        return cls(
            source=source,
            kind=kind,
            catalog=tuple(options.catalog),
            events=tuple(options.events),
            mapping=mapping_of(options.map),
            decimal=options.decimal,
            dates=options.dates,
            currency=options.currency,
            as_of=options.as_of,
            fetch=fetch or {},
            write=tuple(options.write),
        )

    @property
    def imports(self) -> bool:
        """Whether there is something to import: feeds, or a directory of a kind that is imported."""
        return bool(self.catalog or self.events) or self.kind == AUTO or self.kind in KINDS

    def feeds(self) -> ShopFeeds:
        """Opens the exports.

        Raises:
          ValueError: One of them cannot be read.
        """
        if self.catalog or self.events:
            return named_feeds([*map(self._local, self.catalog)], [*map(self._local, self.events)])
        if self._is_on_the_web:
            return named_feeds([self._local(f"{self.kind}:{self.source}")], [])
        if "://" in self.source or Path(self.source).expanduser().is_dir():
            return directory_feeds(self.source, kind=self.kind)
        return named_feeds([f"{self.kind}:{self.source}"], [])

    @property
    def _is_on_the_web(self) -> bool:
        return web_address(self.source) is not None

    @property
    def fetches(self) -> bool:
        """Whether an export is at a web address."""
        names = [split_name(name).location for name in (*self.catalog, *self.events) if isinstance(name, str)]
        return any(web_address(name) for name in (*names, self.source))

    def _local(self, name: Any) -> Any:
        """A feed by the path of its copy, where a person names it by a web address."""
        if not isinstance(name, str):
            return name
        kind, location = split_name(name)
        address = web_address(location)
        return name if address is None else f"{kind}:{fetched_file(address, self.fetch)}"

    def options(self, *, now: float | None = None) -> ImportOptions:
        """Returns the options of the import.

        Args:
          now: Seconds since 1970 UTC after which events are from the future; the present when None.

        Raises:
          ValueError: The currency has no code.
        """
        present = time.time()
        currency = numbers.currency(self.currency)
        if self.currency and not currency:
            raise ValueError(f"--currency is {self.currency!r}; wanted an ISO 4217 code such as EUR. Name the code.")
        return ImportOptions(
            mapping=self.mapping,
            point=_POINTS.get(self.decimal),
            day_first=_DATES.get(self.dates),
            currency=currency,
            as_of=moment(self.as_of).value if self.as_of else present,
            now=present if now is None else now,
            user_keys=user_keys(),
        )

    def run(self, output_dir: str | Path | None, *, data: DataConfig, now: float | None = None) -> MappingReport:
        """Imports into a directory and shows the mapping report, or makes the report only.

        Args:
          output_dir: Local directory, which becomes a source of kind `imported`; None to make the report only.
          data: Limits.
          now: As in `options`.

        Raises:
          ValueError: An export cannot be read, or is ambiguous.
          ImportStopped: Too much is dropped, or too few events join.
        """
        report = import_shop(self.feeds(), output_dir, options=self.options(now=now), data=data)
        _LOG.info("%s", report.text())
        if output_dir is not None:
            for target in self.write:
                number = write_catalog(read_records(Path(output_dir) / CATALOG), target)
                _LOG.info("%s: %d records written", target, number)
            check_limits(report, data)
        return report


def add_import_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of an import."""
    group = parser.add_argument_group("exports", f"kinds: {', '.join(KINDS)}; auto looks at the file")
    text = "KIND:PATH of {}: a file, directory, pattern, archive, - or address; may be given several times"
    for name, part in (("catalog", "a catalogue"), ("events", "an event log")):
        group.add_argument(f"--{name}", action="append", default=[], metavar="KIND:PATH", help=text.format(part))
    group.add_argument(
        "--map", action="append", default=[], metavar="FIELD=COLUMN", help="a field's column, or a JSON file of them"
    )
    group.add_argument("--decimal", default="", choices=("", *_POINTS), help="separator where numbers do not show it")
    group.add_argument("--dates", default="", choices=("", *_DATES), help="order where dates do not show it")
    group.add_argument("--currency", default="", metavar="CODE", help="currency of prices that name none, such as EUR")
    group.add_argument(
        "--write", action="append", default=[], metavar="FORM:PATH", help="cleaned catalogue: shop, google or jsonld"
    )
    group.add_argument("--as_of", default="", metavar="MOMENT", help="moment by which sales are open (default: now)")


def import_parser() -> argparse.ArgumentParser:
    """Returns a parser of the flags of an import alone."""
    made = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_import_flags(made)
    return made


def split_import_args(arguments: Sequence[str]) -> "SplitArguments":
    """Returns the flags of an import among arguments, checked, and the other ones."""
    _, rest = import_parser().parse_known_args(list(arguments))
    others = list(rest)
    own = []
    for argument in arguments:
        if others and argument == others[0]:
            others.pop(0)
        else:
            own.append(argument)
    return SplitArguments(tuple(own), tuple(rest))


class SplitArguments(NamedTuple):
    """Arguments of an import, and the other ones."""

    own: tuple[str, ...]
    others: tuple[str, ...]


def mapping_of(given: Sequence[str]) -> dict[str, str]:
    """Returns {field: column} of `FIELD=COLUMN` texts and JSON files.

    Raises:
      ValueError: A text is neither.
    """
    mapping: dict[str, str] = {}
    for text in given:
        field, equals, column = text.partition("=")
        if equals:
            mapping[field.strip()] = column.strip()
            continue
        try:
            found: Any = json.loads(Path(text).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"--map is {text!r}; wanted FIELD=COLUMN or a JSON file of {{field: column}}.") from error
        if not isinstance(found, dict):
            raise ValueError(f"--map {text} holds {type(found).__name__}; wanted an object {{field: column}}.")
        mapping |= {str(name): str(value) for name, value in found.items()}
    return mapping
