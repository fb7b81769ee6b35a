"""Relative URIs of media: found as they are first, then in the other spellings, and never outside the shop."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_preprocess.media.media_root import MediaRoot, MediaUnavailable
from beam_preprocess.media.uri_spellings import spellings

COMPOSED, DECOMPOSED = "Käse", "Ka\u0308se"


def root_with(tmp_path, *names: str) -> MediaRoot:
    """A shop whose files hold their own names."""
    for name in names:
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "secret.jpg").write_bytes(b"outside")
    return MediaRoot(str(tmp_path / "shop"))


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("red shirt.jpg", "red%20shirt.jpg"),
        ("a.jpg", "a.jpg?v=1"),
        ("a.jpg", "a.jpg#top"),
        ("a b.jpg", "a%20b.jpg?v=1&w=2"),
        ("img/d.jpg", "/img/d.jpg"),
        ("img/d.jpg", "img\\d.jpg"),
        ("img/d e.jpg", "\\img\\d%20e.jpg?x"),
        (f"{DECOMPOSED}.jpg", f"{COMPOSED}.jpg"),
        (f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg"),
        (f"{DECOMPOSED}.jpg", f"{DECOMPOSED}.jpg"),
        (f"{COMPOSED}/{DECOMPOSED}.jpg", f"{COMPOSED}/{COMPOSED}.jpg"),
        (f"{COMPOSED}.jpg", "Ka%CC%88se.jpg"),
        ("100%.jpg", "100%.jpg"),
        ("a?b.jpg", "a?b.jpg"),
    ],
)
def test_the_file_is_found(tmp_path, name, uri):
    assert root_with(tmp_path, name).read(uri) == name.encode()


def test_a_file_of_exactly_that_name_comes_first(tmp_path):
    root = root_with(tmp_path, "a%20b.jpg", "a b.jpg", "a b.jpg?v=1")
    assert root.read("a%20b.jpg") == b"a%20b.jpg"
    assert root.read("a%20b.jpg?v=1") == b"a b.jpg?v=1"
    assert root.read("a%20b.jpg?v=2") == b"a%20b.jpg"


@pytest.mark.parametrize("uri", ["..%2Fsecret.jpg", "..\\secret.jpg", "%2e%2e/secret.jpg?v=1", "/../secret.jpg"])
def test_no_spelling_leaves_the_shop(tmp_path, uri):
    with pytest.raises(MediaUnavailable) as caught:
        root_with(tmp_path, "a.jpg").read(uri)
    assert caught.value.kind in ("missing", "outside_shop")


@given(st.text(alphabet="a/.\\%2eFf?#ä\u0308\0", max_size=30))
def test_spellings_are_few_distinct_and_begin_with_the_uri_itself(uri):
    found = list(spellings(uri))
    assert found[0] == uri
    assert len(set(found)) == len(found) <= 80


def test_a_plain_name_has_no_other_spelling():
    assert list(spellings("img/a.jpg")) == ["img/a.jpg"]
    assert unicodedata.normalize("NFD", "ä") in set(spellings("ä"))
