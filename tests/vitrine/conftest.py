import types

import pytest


@pytest.fixture(scope="session")
def facade_run(tmp_path_factory):
    """The folder of a whole run through the facade, and what its functions returned."""
    import vitrine
    from tests.support import tiny_shop

    folder = tmp_path_factory.mktemp("facade")
    data, model = folder / "data", folder / "model"
    inputs = tiny_shop.write(data)
    trained = vitrine.train(data, model, config=tiny_shop.CONFIG)
    report = vitrine.build_bundle(trained.towers_dir, data, model / "bundle", flavours=["stock"])
    version = vitrine.publish(model / "bundle", folder / "published")
    return types.SimpleNamespace(
        data=data,
        inputs=inputs,
        model=model,
        published=folder / "published",
        trained=trained,
        report=report,
        version=version,
    )


@pytest.fixture(scope="session")
def by_command(facade_run, tmp_path_factory):
    """The other flavour of the bundle, built by the command line: its folder and what was printed."""
    import contextlib
    import io

    from serving.bundle import __main__ as building

    output, printed = tmp_path_factory.mktemp("by_command"), io.StringIO()
    arguments = ["--towers", str(facade_run.model / "towers"), "--data", str(facade_run.data), "--flavours", "scann"]
    with contextlib.redirect_stdout(printed):
        assert building.main([*arguments, "--output", str(output), "--version", "7"]) == 0
    return types.SimpleNamespace(folder=output, printed=printed.getvalue())
