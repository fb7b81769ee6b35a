"""Tokens and their scopes, as the files hold them."""

import pytest

from serving.server.access.tokens import Scope, Tokens, read_tokens

SHOP, DESK = "shop-token-of-some-length", "desk-token-of-some-length"


def test_a_file_gives_each_token_its_scopes(tmp_path):
    path, admin = tmp_path / "tokens", tmp_path / "admin"
    path.write_text(f"# the shop's backend\n{SHOP} search,events\n\n  {DESK} update, admin\n")
    admin.write_text("admin-token-of-some-length\n")
    tokens = read_tokens(path, admin)
    assert tokens.scopes_of(f"Bearer {SHOP}".encode()) == {Scope.SEARCH, Scope.EVENTS}
    assert tokens.scopes_of(f"bearer {DESK}".encode()) == {Scope.UPDATE, Scope.ADMIN}
    assert tokens.scopes_of(b"Bearer admin-token-of-some-length") == {Scope.ADMIN}
    assert tokens.scopes == set(Scope)
    assert read_tokens(None, None).scopes == set()


@pytest.mark.parametrize("sent", [None, b"", SHOP.encode(), f"Bearer {SHOP[:-1]}".encode(), b"Basic x", b"Bearer"])
def test_anything_else_is_no_token(sent):
    assert Tokens({SHOP: [Scope.SEARCH]}).scopes_of(sent) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("canary-short search", "line 2 of .* is no token with its scopes; wanted TOKEN SCOPE,SCOPE"),
        ("canary-of-sufficient-length", "line 2 of .* scopes of search, events, update, admin"),
        ("canary-of-sufficient-length searches", "line 2 of .* Correct the line"),
        (f"{SHOP} admin", "line 2 of .* repeats the token of an earlier line"),
    ],
)
def test_a_wrong_line_is_named_by_its_number_and_never_shown(tmp_path, line, problem):
    path = tmp_path / "tokens"
    path.write_text(f"{SHOP} search\n{line}\n")
    with pytest.raises(ValueError, match=problem) as caught:
        read_tokens(path, None)
    assert "canary" not in str(caught.value)
    assert SHOP not in str(caught.value)


def test_an_admin_token_that_is_no_secret_is_refused(tmp_path):
    path = tmp_path / "token"
    for text in ("", "short", "two words of sufficient length"):
        path.write_text(text)
        with pytest.raises(ValueError, match="must hold one word of at least 16 characters"):
            read_tokens(None, path)
    with pytest.raises(ValueError, match="cannot be read"):
        read_tokens(tmp_path / "nowhere", None)
