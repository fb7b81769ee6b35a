"""Photo inputs: photos of kinds that the graph of a bundle does not read, converted by the client's rules."""

import json
import weakref
from collections.abc import Mapping

import numpy as np

from serving.server.protocol.servable import Servable

# The size in `wire_spec` that the photos of an input have.
_SIZES = {"query_image": "image_px", "images": "image_px", "query_video": "frame_px", "video": "frame_px"}
_WIRE_SPEC = "wire_spec"
_JPEG_START, _PNG_START, _PROFILE = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"ICC_PROFILE\0"
_SPECS: "weakref.WeakKeyDictionary[Servable, dict[str, int]]" = weakref.WeakKeyDictionary()


def convert_photos(model: Servable, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Returns inputs whose photos the graph reads; a photo that cannot be converted stays, and the graph reports it.

    Only a model with the signature `wire_spec` has such inputs. Without Pillow nothing is converted.

    Args:
      model: The version that answers.
      inputs: {input: array}; photos are bytes.
    """
    if _WIRE_SPEC not in model.signatures or not _SIZES.keys() & inputs.keys():
        return inputs
    converted = dict(inputs)
    for name in _SIZES.keys() & inputs.keys():
        if not all(map(_is_plain, inputs[name].flat)):
            converted[name] = _converted(inputs[name], model, size=_SIZES[name])
    return converted


def _is_plain(photo: object) -> bool:
    """Whether a photo needs no second look, for which the client's code would be loaded."""
    if not isinstance(photo, bytes) or not photo or photo.startswith(_PNG_START):
        return True
    return photo.startswith(_JPEG_START) and _PROFILE not in photo


def _converted(photos: np.ndarray, model: Servable, *, size: str) -> np.ndarray:
    try:
        from serving.client.errors import MediaError
        from serving.client.images import image_wire
        from serving.client.photo_kinds import needs_conversion
    except ImportError:
        return photos
    result = photos.copy()
    for place, photo in np.ndenumerate(photos):
        if not _is_plain(photo) and needs_conversion(photo):
            try:
                result[place] = image_wire(photo, px=_wire_spec(model)[size])
            except MediaError:
                continue
    return result


def _wire_spec(model: Servable) -> dict[str, int]:
    """Sizes of the wire form of a model, asked of it once."""
    found = _SPECS.get(model)
    if found is None:
        signature = model.signatures[_WIRE_SPEC]
        outputs = model.run(signature, {"placeholder": np.zeros([1], np.int64)}, outputs=("spec_json",))
        found = _SPECS[model] = json.loads(outputs["spec_json"].flat[0])
    return found
