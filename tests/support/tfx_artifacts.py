"""Artifacts of TFX in a folder of a test."""


def artifact(kind, path, **properties):
    from tfx.types import standard_artifacts

    made = getattr(standard_artifacts, kind)() if isinstance(kind, str) else kind()
    path.mkdir(parents=True, exist_ok=True)
    made.uri = str(path)
    for name, value in properties.items():
        if isinstance(value, int):
            made.set_int_custom_property(name, value)
        else:
            made.set_string_custom_property(name, value)
    return made
