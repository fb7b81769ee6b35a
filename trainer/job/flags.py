"""Flags of every field of the configuration, such as `--train.epochs 3`, with help from its docstring."""

import argparse
import dataclasses
import enum
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.spec import presets
from trainer.spec.config import Config, from_dict, from_json, override


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ConfigField:
    """One value of the configuration.

    Attributes:
      path: Its keys, joined by dots.
      default: Its value in the default configuration.
      doc: Its text in the docstring of its class; may be "".
    """

    path: str
    default: Any
    doc: str


def config_fields(config: Any = None, path: str = "") -> Iterator[ConfigField]:
    """Yields every value of a configuration, in the order of declaration."""
    config = Config() if config is None else config
    docs = attribute_docs(type(config).__doc__ or "")
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from config_fields(value, f"{path}{field.name}.")
        else:
            yield ConfigField(path=f"{path}{field.name}", default=value, doc=docs.get(field.name, ""))


def attribute_docs(docstring: str) -> dict[str, str]:
    """Parses the `Attributes:` section of a docstring: {name: text}."""
    _, heading, section = docstring.partition("Attributes:\n")
    docs: dict[str, str] = {}
    name = ""
    for line in section.split("\n") if heading else []:
        start = re.match(r"\s+(\w+): (.*)", line)
        if start and len(line) - len(line.lstrip()) <= 6:
            name = start[1]
            docs[name] = start[2].strip()
        elif name and line.strip():
            docs[name] += " " + line.strip()
    return docs


def add_config_flags(parser: argparse.ArgumentParser) -> None:
    """Adds `--preset`, `--config`, `--set` and a flag for every field; a flag that is not given has no attribute."""
    sources = parser.add_argument_group("configuration", "the preset, then the file, then flags; the later wins")
    sources.add_argument("--preset", default="base", help=f"one of {', '.join(presets.PRESETS)}")
    sources.add_argument("--config", help="JSON file of the keys that differ from the preset")
    sources.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for example train.epochs=3")
    groups: dict[str, Any] = {}
    for field in config_fields():
        part = field.path.rpartition(".")[0]
        if part not in groups:
            groups[part] = parser.add_argument_group(part, _title(part))
        text = f"{field.doc} " if field.doc else ""
        groups[part].add_argument(
            f"--{field.path}",
            default=argparse.SUPPRESS,
            metavar=_kind(field.default),
            help=f"{text}default {_shown(field.default)}".replace("%", "%%"),
        )


def config_from_flags(options: argparse.Namespace, environment: Mapping[str, Any] | None = None) -> Config:
    """Returns the configuration of a command line: preset, file, environment, flags; the later wins.

    Args:
      options: From a parser with `add_config_flags`.
      environment: Values by nested key, as in a file.

    Raises:
      ValueError: An unknown key or a wrong value.
    """
    config = presets.preset(options.preset)
    if options.config:
        config = from_json(Path(options.config).read_text(encoding="utf-8"), config)
    config = from_dict(environment or {}, config)
    config = override(config, options.set)
    known = {field.path: field.default for field in config_fields()}
    given = {path: value for path, value in vars(options).items() if path in known}
    for path, text in given.items():
        value = _parsed(text, known[path])
        for key in reversed(path.split(".")):
            value = {key: value}
        config = from_dict(value, config)
    return config


def _parsed(text: str, default: Any) -> Any:
    """The value of a flag; a list may be written `8,16`, a whole number `64.0` as studies send it."""
    if isinstance(default, str) and not isinstance(default, enum.Enum):
        return text
    if isinstance(default, tuple) and not text.startswith("["):
        text = f"[{text}]"
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    if type(default) is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _title(part: str) -> str:
    value: Any = Config()
    for key in part.split("."):
        value = getattr(value, key)
    return (type(value).__doc__ or "").split("\n")[0]


def _kind(default: Any) -> str:
    if isinstance(default, enum.Enum):
        return "{" + ",".join(member.value for member in type(default)) + "}"
    if isinstance(default, Mapping):
        return "JSON"
    if isinstance(default, tuple):
        return "N,N"
    return {bool: "{true,false}", int: "N", float: "X", str: "TEXT"}[type(default)]


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return json.dumps(dict(default)) if isinstance(default, Mapping) else str(default).lower() or '""'
