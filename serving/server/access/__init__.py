"""Access to the server: TLS, tokens with scopes, callers on this machine."""
