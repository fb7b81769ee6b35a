"""Imports TFX with the doors that need it; slow, so only tests that use it do."""

from types import SimpleNamespace


def import_doors() -> SimpleNamespace:
    """The three `component` modules."""
    import beam_preprocess.component
    import serving.component
    import trainer.component

    return SimpleNamespace(beam=beam_preprocess.component, serving=serving.component, trainer=trainer.component)
