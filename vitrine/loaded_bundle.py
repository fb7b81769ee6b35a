"""A bundle in this process, its signatures as functions on arrays."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from serving.bundle.publish import read_manifest
from serving.server.protocol.predict import predict_arrays
from serving.server.protocol.signature import ServableSignature, check_input_names
from serving.server.sessions.saved_model import LoadedModel, load_op_libraries


class LoadedBundle:
    """One version of a bundle in memory; each signature is a method of its name.

        bundle = load_bundle("runs/demo/bundle/stock/1")
        found = bundle.search(query_text=["red shoe"], page_size=[5])
        print(found["ids"], found["scores"])

    It runs as the server runs it: in a session of its own, which several threads may call.

    Args:
      path: Folder of one version, with its `saved_model.pb`.

    Attributes:
      path: The folder.
      manifest: What building the bundle wrote about it: `bundle_version`, `config`, `n_items`, ...
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        self._model = LoadedModel(self.path, missing_libraries=load_op_libraries())

    @property
    def signatures(self) -> tuple[str, ...]:
        """The names of the signatures."""
        return tuple(self._model.signatures)

    def predict(self, signature_name: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The outputs of a signature.

        Args:
          signature_name: One of `signatures`.
          inputs: Arrays or lists, [batch, ...] each; what is left out has its default.

        Raises:
          ValueError: There is no such signature.
          ServingError: An input is unknown, missing without a default, or of a wrong shape.
        """
        signature = self._model.signatures.get(signature_name)
        if signature is None:
            raise ValueError(f"Signature {signature_name!r} is unknown; wanted one of {', '.join(self.signatures)}.")
        check_input_names(signature, inputs)
        return predict_arrays(self._model, signature, _arrays(signature, inputs))

    def __getattr__(self, name: str) -> Any:
        """Returns a signature as a function of its inputs by name."""
        if name.startswith("_") or name not in self.signatures:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def call(**inputs: Any) -> dict[str, np.ndarray]:
            return self.predict(name, inputs)

        call.__name__ = name
        return call

    def __dir__(self) -> list[str]:
        """Returns the attributes with the signatures."""
        return [*super().__dir__(), *self.signatures]

    def close(self) -> None:
        """Frees the memory of the model."""
        self._model.close()

    def __enter__(self) -> Self:
        """Returns the bundle, which is closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the memory of the model."""
        self.close()


def load_bundle(path: str | Path) -> LoadedBundle:
    """Loads one version of a bundle into this process.

    Args:
      path: Folder of one version (`.../stock/1`), or of one flavour, whose newest version is loaded.

    Raises:
      ValueError: There is no version.
      ServingError: The SavedModel cannot be loaded, for example because ScaNN is not installed.
    """
    folder = Path(path)
    if not (folder / "saved_model.pb").exists():
        numbers = [int(entry.name) for entry in folder.glob("*") if entry.name.isdecimal()]
        if not numbers:
            raise ValueError(f"{folder} holds no bundle; wanted saved_model.pb or folders named by numbers. Build one.")
        folder /= str(max(numbers))
    return LoadedBundle(folder)


def _arrays(signature: ServableSignature, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The inputs as arrays of the declared types; text as UTF-8 bytes."""
    found = {}
    for name, value in inputs.items():
        dtype = signature.inputs[name].dtype.as_numpy_dtype
        array = np.asarray(value, dtype)
        if array.dtype == object:
            encode = np.vectorize(lambda text: text.encode() if isinstance(text, str) else text, otypes=[object])
            array = encode(array) if array.size else array
        found[name] = array
    return found
