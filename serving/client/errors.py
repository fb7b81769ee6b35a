"""Errors of the client."""


class ClientError(Exception):
    """A request that has no answer: refused by the server, on its way, or before it is sent.

    Args:
      code: The gRPC code by name, `HTTP` and the status, or a code of `MediaError`.
      message: The server's message, or the fault of the media.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


class MediaError(ClientError, ValueError):
    """A photo or clip that has no wire form; nothing was sent.

    The code is EMPTY, NOT_MEDIA, UNSUPPORTED, TRUNCATED, TOO_LARGE or CORRUPT. Like every mistake in an argument it is
    a ValueError too.
    """
