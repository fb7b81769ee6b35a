"""The page as a browser parses it: nothing of the data can run, nothing is fetched, everything has its name."""

import base64
import hashlib
import json

import html5lib
import pytest

from serving.report import page
from serving.report.blocks import Answer, Bar, Figure, Hit, Section, Table, Text
from serving.report.page import NO_CHARTS, chart_script, render

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\u2028&\"'"
HTML = "{http://www.w3.org/1999/xhtml}"
BAR = Bar(label=EVIL, value="+0.500", width=50.0, is_negative=False)
SECTIONS = [
    Section(
        name="one", title=EVIL, blocks=[Text(text=EVIL), Table(caption=EVIL, columns=["a", EVIL], rows=[["b", EVIL]])]
    ),
    Section(name="two", title="Charts", blocks=[Figure(caption=EVIL, alt=EVIL, spec={"title": EVIL})]),
    Section(
        name="three",
        title="Queries",
        blocks=[
            Answer(
                title=EVIL,
                facts=[EVIL],
                picture="data:image/jpeg;base64,AAAA",
                regions=[[0.0, 1.0], [0.5, 0.0]],
                strongest=EVIL,
                words=[BAR],
                hits=[
                    Hit(title=EVIL, facts=EVIL, picture="data:,", is_relevant=True, reasons=[BAR]),
                    Hit(title="plain", facts="", picture="", is_relevant=False, reasons=[]),
                ],
            )
        ],
    ),
]


def parsed(text):
    parser = html5lib.HTMLParser(strict=False)
    document = parser.parse(text)
    assert parser.errors == []
    return document


def elements(document, name):
    return list(document.iter(HTML + name))


@pytest.fixture(scope="module")
def text():
    return render(SECTIONS, title=EVIL, facts={EVIL: EVIL}, key="k" * 64, script="draw();")


def test_texts_of_the_data_stay_texts(text):
    document = parsed(text)
    assert "<script>alert" not in text
    assert len(elements(document, "script")) == 2  # the charts' data, and what draws them
    assert all(not [name for name in one.attrib if name.startswith("on")] for one in document.iter())
    assert {one.attrib["src"] for one in elements(document, "img")} == {"data:image/jpeg;base64,AAAA", "data:,"}
    assert elements(document, "h2")[0].text == EVIL
    data, _ = elements(document, "script")
    assert json.loads(data.text) == {"chart-two-0": {"title": EVIL}}


def test_the_policy_allows_the_script_by_its_hash_and_no_network(text):
    document = parsed(text)
    (policy,) = (one.attrib["content"] for one in elements(document, "meta") if "http-equiv" in one.attrib)
    digest = base64.b64encode(hashlib.sha256(b"draw();").digest()).decode()
    assert f"script-src 'sha256-{digest}' 'unsafe-eval'" in policy
    assert "default-src 'none'; img-src data:;" in policy
    assert elements(document, "script")[1].text == "draw();"


def test_headings_captions_and_alternatives_are_there(text):
    document = parsed(text)
    assert document.attrib["lang"] == "en"
    levels = [int(one.tag[-1]) for one in document.iter() if one.tag in {f"{HTML}h{level}" for level in range(1, 7)}]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    assert len(elements(document, "table")) == len(elements(document, "caption")) == 1
    assert {one.attrib["scope"] for one in elements(document, "th")} == {"col", "row"}
    assert all(one.attrib["alt"] for one in elements(document, "img"))
    (chart,) = (one for one in elements(document, "div") if one.attrib.get("role") == "img")
    assert chart.attrib["aria-label"] == EVIL
    # Links of the page lead to its headings, and a key skips them.
    anchors = [one.attrib["href"] for one in elements(document, "a")]
    ids = {one.attrib["id"] for one in document.iter() if "id" in one.attrib}
    assert anchors[0] == "#main"
    assert {anchor[1:] for anchor in anchors} <= ids


def test_the_page_can_be_printed(text):
    (style,) = elements(parsed(text), "style")
    printed = style.text.split("@media print")[1]
    assert "break-inside: avoid" in printed
    assert "nav, .skip { display: none; }" in printed


def test_without_the_packer_there_are_words_instead_of_charts():
    document = parsed(render(SECTIONS, title="t", facts={}, script=""))
    assert elements(document, "script") == []
    texts = ["".join(one.itertext()) for one in elements(document, "p")]
    assert NO_CHARTS in texts
    assert EVIL in texts  # what the chart would show, in words


def test_the_packed_script_draws_and_ends_where_it_should():
    script = chart_script()
    assert "</script" not in script.lower()
    assert 300_000 < len(script) < 3_000_000
    assert page.chart_script() is script  # packed once


def test_numbers_that_json_does_not_have_are_refused():
    figure = Figure(caption="", alt="", spec={"value": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        render([Section(name="a", title="b", blocks=[figure])], title="", facts={}, script="x")
