import pytest

from trainer.pseudonyms import DEMO_USER_KEY, LoggedId, MissingUserKeyError, UserKeys, user_keys

# printf alice | openssl dgst -sha256 -hmac key; the same with the key `old`.
BY_KEY = "76fb55e929c06b97b01c35950ee5f72fe415b15ed3a7356c39e709906dbb5c45"
BY_OLD = "1dda74c6439d93cb9afbc11e4b0b264324e61b636ebd5e95d6bc38b1bb11b9ef"


def test_an_id_becomes_the_keyed_hash_that_the_client_makes():
    assert UserKeys(b"key").logged("alice") == LoggedId(BY_KEY)


def test_while_keys_are_changed_a_log_shows_both_hashes():
    found = UserKeys(b"key", b"old").logged("alice")
    assert found.marked == f"hmac:{BY_KEY}:{BY_OLD}"
    assert UserKeys(b"key").logged(found.marked) == found


def test_a_marked_id_is_not_hashed_again_and_needs_no_key():
    assert UserKeys().logged(f"hmac:{BY_KEY}") == LoggedId(BY_KEY)
    assert UserKeys(b"key").logged("hmac:alice").pseudonym != "alice"


def test_without_a_key_the_error_has_the_command_that_makes_one():
    with pytest.raises(MissingUserKeyError, match=r"not set; wanted .* VITRINE_USER_KEY=\$\(openssl rand -hex 32\)"):
        UserKeys().logged("alice")
    assert UserKeys().or_demo().logged("alice") == UserKeys(DEMO_USER_KEY).logged("alice")
    assert UserKeys(b"key").or_demo() == UserKeys(b"key")


def test_the_keys_come_from_the_environment_and_are_never_shown(monkeypatch):
    monkeypatch.setenv("VITRINE_USER_KEY", "canary")
    monkeypatch.setenv("VITRINE_USER_KEY_PREVIOUS", "canary-before")
    assert user_keys() == UserKeys(b"canary", b"canary-before")
    assert "canary" not in repr(user_keys())
