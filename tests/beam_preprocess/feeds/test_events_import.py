"""Events of a log under changing keys, and without one."""

import pytest

from beam_preprocess.feeds.feed import ImportOptions, feed_of_records
from beam_preprocess.feeds.importer import ShopFeeds, import_shop
from tests.beam_preprocess.feeds.conftest import NOW
from trainer.pseudonyms import MissingUserKeyError, UserKeys
from trainer.spec.config import DataConfig

ALICE = {"type": "view", "item_id": "a", "user_id": "alice"}


def test_while_keys_are_changed_events_under_both_belong_to_one_user(run):
    """The old key hashed the first event, a server with both keys the second; the third is raw."""
    old, both = UserKeys(b"old").logged("alice").marked, UserKeys(b"key", b"old").logged("alice").marked
    users = (old, both, "alice")
    events = [{**ALICE, "timestamp": NOW - number, "user_id": user} for number, user in enumerate(users, start=1)]
    found = run([[{"item_id": "a", "title": "Lamp"}]], [events])
    assert {event["user_id"] for event in found.events} == {UserKeys(b"key").logged("alice").pseudonym}
    # With both keys a raw id alone links them too, in whatever order.
    found = run([[{"item_id": "a", "title": "Lamp"}]], [[events[0], events[2]]], user_keys=UserKeys(b"key", b"old"))
    assert {event["user_id"] for event in found.events} == {UserKeys(b"key").logged("alice").pseudonym}
    # Without the old key nothing links them: two users, neither in the clear.
    found = run([[{"item_id": "a", "title": "Lamp"}]], [[events[0], events[2]]])
    assert len({event["user_id"] for event in found.events}) == 2
    assert "alice" not in found.text


def test_users_without_a_key_stop_the_import(run):
    with pytest.raises(MissingUserKeyError, match="VITRINE_USER_KEY is not set"):
        run([[{"item_id": "a", "title": "Lamp"}]], [[{**ALICE, "timestamp": NOW - 1}]], user_keys=UserKeys())
    anonymous = {"timestamp": NOW - 1, "type": "view", "item_id": "a"}
    assert len(run([[{"item_id": "a", "title": "Lamp"}]], [[anonymous]], user_keys=UserKeys()).events) == 1


def test_a_report_alone_needs_no_key():
    events = [{**ALICE, "timestamp": NOW - 1}]
    feed = feed_of_records("records", lambda: iter(events), "events", kind="shop")
    options = ImportOptions(now=NOW, as_of=NOW)
    assert (
        import_shop(ShopFeeds(catalog=[], events=[feed]), None, options=options, data=DataConfig()).events["kept"] == 1
    )
