"""Page of the report: sections rendered as one HTML file, with styles, scripts and pictures inside.

The page opens from disk and asks nothing of any network: its content security policy allows the scripts by their hashes
and pictures that are in the page, and nothing else.
"""

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from serving.report.blocks import Figure, Section
from serving.report.inputs import TEMPLATE

# Draws every chart of the page; runs in the bundle of Vega, Vega-Lite and Vega-Embed.
_DRAW = """
const specs = JSON.parse(document.getElementById("charts").textContent);
for (const [name, spec] of Object.entries(specs)) {
  const place = document.getElementById(name);
  vegaEmbed(place, spec, {mode: "vega-lite", renderer: "svg", actions: false}).catch((error) => {
    place.textContent = "This chart could not be drawn: " + error;
  });
}
"""
NO_CHARTS = (
    "Charts are left out, because vl-convert-python, which packs their script into the page, is not installed; the "
    "tables have the same numbers."
)


def render(
    sections: Sequence[Section], *, title: str, facts: Mapping[str, str], key: str = "", script: str | None = None
) -> str:
    """Returns the page.

    Args:
      sections: Its sections, in order.
      title: Its heading.
      facts: Lines of its head, such as the version.
      key: Hash of what the page is made from, which `serving.report.write` reads again.
      script: The script that draws the charts; by default the one that `chart_script` packs.
    """
    packed = chart_script() if script is None else script
    specs = {
        f"chart-{section.name}-{place}": block.spec
        for section in sections
        for place, block in enumerate(section.blocks)
        if isinstance(block, Figure)
    }
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("serving.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(TEMPLATE).render(
        sections=sections,
        title=title,
        facts=facts,
        key=key,
        script=packed,
        policy=_policy([packed] if packed else []),
        specs=_json_for_html(specs),
        no_charts=NO_CHARTS,
    )


@functools.cache
def chart_script() -> str:
    """Returns the script that draws the charts, with Vega packed in; "" where vl-convert-python is not installed."""
    try:
        import vl_convert
    except ImportError:
        return ""
    packed: str = vl_convert.javascript_bundle(_DRAW)
    return "\n" + re.sub("</(?=script)", r"<\\/", packed, flags=re.IGNORECASE) + "\n"


def _policy(scripts: Sequence[str]) -> str:
    """The content security policy; Vega compiles the expressions of a chart, hence `unsafe-eval`."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}'" for script in scripts
    )
    allowed = f"{hashes} 'unsafe-eval'" if hashes else "'none'"
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'"


def _json_for_html(value: Any) -> str:
    """JSON that no text in it can end or open a tag of."""
    packed = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        packed = packed.replace(mark, f"\\u{ord(mark):04x}")
    return packed
