"""Which callers may do what."""

import pytest

from serving.server.access.access_rules import AccessRules, Caller, grpc_scope, is_local, is_loopback
from serving.server.access.tokens import Scope, Tokens
from serving.server.protocol.errors import ServingError

LOCAL, REMOTE = Caller(is_local=True), Caller(is_local=False)
TOKEN = "a-token-of-some-length"
OPEN, SEARCH_LOCKED = Tokens({TOKEN: [Scope.EVENTS]}), Tokens({TOKEN: [Scope.SEARCH]})


def with_token(token: str) -> Caller:
    return Caller(is_local=False, authorization=f"Bearer {token}".encode())


@pytest.mark.parametrize("peer", ["ipv4:127.0.0.1:4000", "ipv6:[::1]:4000", "ipv6:%5B::1%5D:4000", "unix:/tmp/socket"])
def test_peers_on_this_machine(peer):
    assert is_local(peer)


@pytest.mark.parametrize(
    "peer", ["ipv4:10.0.0.1:4000", "ipv6:%5B2001:db8::1%5D:1", "ipv6:[::ffff:10.0.0.1]:1", "127.0.0.1", "", "ipv4:x:1"]
)
def test_peers_elsewhere(peer):
    assert not is_local(peer)


def test_addresses_of_http():
    assert [is_loopback(name) for name in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", None, "x")] == [
        *(True, True, True),
        *(False, False, False),
    ]


def test_the_scope_of_a_grpc_method():
    assert grpc_scope("/tensorflow.serving.ModelService/HandleReloadConfigRequest") is Scope.ADMIN
    assert grpc_scope("/tensorflow.ProfilerService/Profile") is Scope.ADMIN
    assert grpc_scope("/tensorflow.serving.PredictionService/Predict") is Scope.SEARCH


def test_a_search_is_open_until_a_token_is_made_for_it():
    AccessRules(OPEN).check(Scope.SEARCH, REMOTE)
    AccessRules(SEARCH_LOCKED).check(Scope.SEARCH, with_token(TOKEN))
    with pytest.raises(ServingError, match="UNAUTHENTICATED: .* on loopback or with a token of the scope 'search'"):
        AccessRules(SEARCH_LOCKED).check(Scope.SEARCH, REMOTE)


@pytest.mark.parametrize("scope", [Scope.EVENTS, Scope.UPDATE, Scope.ADMIN])
def test_changes_are_for_local_callers_and_tokens(scope):
    rules = AccessRules(Tokens({TOKEN: [scope]}))
    for caller in (LOCAL, with_token(TOKEN)):
        rules.check(scope, caller)
    for caller in (REMOTE, with_token(TOKEN.upper())):
        with pytest.raises(ServingError, match="UNAUTHENTICATED"):
            rules.check(scope, caller)
    with pytest.raises(ServingError, match="PERMISSION_DENIED: The token lacks the scope"):
        AccessRules(SEARCH_LOCKED).check(scope, with_token(TOKEN))


def test_behind_a_proxy_on_this_machine_a_local_caller_needs_a_token_too():
    rules = AccessRules(OPEN, trusts_loopback=False)
    with pytest.raises(ServingError, match="This call is answered with a token of the scope 'events'"):
        rules.check(Scope.EVENTS, LOCAL)
    rules.check(Scope.EVENTS, with_token(TOKEN))


def test_as_tf_serving_everything_is_open_but_what_a_token_was_made_for():
    rules = AccessRules(OPEN, locks_changes=False)
    rules.check(Scope.ADMIN, REMOTE)
    with pytest.raises(ServingError, match="UNAUTHENTICATED"):
        rules.check(Scope.EVENTS, REMOTE)
