import pytest


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    from tests.support import tiny_shop

    return tiny_shop.write(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="session")
def tables(shop, work_dir):
    from tests.support import tiny_shop
    from trainer.tables.open import open_tables

    return open_tables(shop, config=tiny_shop.CONFIG, work_dir=work_dir)


@pytest.fixture(scope="session")
def trained(shop, work_dir):
    from tests.support import tiny_shop
    from trainer.training.fit import fit

    return fit(tiny_shop.CONFIG, shop, work_dir=work_dir, log_dir=work_dir / "logs")


@pytest.fixture(scope="session")
def trained_report(trained):
    from trainer.evaluation.evaluate import evaluate

    return evaluate(trained)
