"""Import of TFX with the components that need it; slow, so only tests that use it import it."""

from types import SimpleNamespace


def import_components() -> SimpleNamespace:
    """The three `component` modules."""
    import beam_preprocess.component
    import serving.component
    import trainer.component

    return SimpleNamespace(beam=beam_preprocess.component, serving=serving.component, trainer=trainer.component)
