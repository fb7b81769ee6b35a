"""Tables of signatures: every input and output is named once, alone or by its group."""

import re

import pytest

from trainer.spec import markdown
from trainer.spec.config import Config
from trainer.spec.serving.signatures import signatures

CONFIG = Config()


def cells(signature):
    """(inputs, outputs) of a signature as its row names them."""
    row = next(line for line in markdown.tables(CONFIG)["signatures"].splitlines() if f"| `{signature}` |" in line)
    return [cell.strip() for cell in row.strip("|").split(" | ")][2:]


def names(cell, groups):
    """The names in a cell, groups written out."""
    parts = (groups[group] if group else (name,) for group, name in re.findall(r"\*\*(\w+)\*\*|`(\w+)`", cell))
    return [name for part in parts for name in part]


@pytest.mark.parametrize("signature", signatures(CONFIG), ids=lambda signature: signature.name)
def test_a_row_names_every_input_and_output_once(signature):
    inputs, outputs = cells(signature.name)
    assert sorted(names(inputs, markdown.input_groups(CONFIG))) == sorted(f.name for f in signature.inputs)
    assert sorted(names(outputs, markdown.output_groups(CONFIG))) == sorted(f.name for f in signature.outputs)


def test_a_search_is_named_by_its_groups_and_what_is_in_none():
    inputs, outputs = cells("search")
    assert inputs == "**query** **mix** **filter** **page** **weights** **boost** `refused_constraints` `fields`"
    assert outputs == "**results** **scores** **understanding** **status**"
    assert cells("search_text")[0] == "`query_text` `page_size` `fields`"  # a part of a group is named by itself


@pytest.mark.parametrize("groups", [markdown.input_groups(CONFIG), markdown.output_groups(CONFIG)], ids=["in", "out"])
def test_no_name_is_in_two_groups(groups):
    members = [name for group in groups.values() for name in group]
    assert len(members) == len(set(members))
