"""What a caller of the client has to expect."""


class ClientError(Exception):
    """The server refused a request or could not be reached.

    Args:
      code: The gRPC code by name, or `HTTP` and the status.
      message: What the server said.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")
