"""Beam flags of the command lines: the local default, and an error for flags that Beam would silently ignore."""

import argparse
import difflib
from collections.abc import Sequence
from typing import Any

LOCAL = (
    "--runner=FnApiRunner",  # `DirectRunner` would first look for a runner of another language on the network
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
    # Not used on this machine. Without a flag like it, TFX packs its own source again for every component.
    "--sdk_container_image=none",
)


def beam_flags(given: Sequence[str], *, beside: argparse.ArgumentParser) -> tuple[str, ...]:
    """Returns the flags of every Beam step: `given` where it names a runner, else `LOCAL` and `given`.

    Args:
      given: The arguments that our own command line does not know.
      beside: Our own command line, for suggestions.

    Raises:
      ValueError: Beam does not know one of them either.
    """
    if not given:
        return LOCAL
    from apache_beam.options.pipeline_options import PipelineOptions

    known: Any = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(known)
    for argument in known.parse_known_args(list(given))[1]:
        names = [name for action in (*known._actions, *beside._actions) for name in action.option_strings]
        close = difflib.get_close_matches(argument.partition("=")[0], names, n=1)
        hint = f" Did you mean {close[0]}?" if close else " See --help."
        raise ValueError(f"Unknown argument {argument!r}; wanted a flag of this command or of Beam.{hint}")
    names_runner = any(argument.partition("=")[0] == "--runner" for argument in given)
    return tuple(given) if names_runner else (*LOCAL, *given)
