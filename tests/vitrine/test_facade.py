"""The facade is complete, lazy and importable before or after TensorFlow with either Keras."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vitrine

ROOT = Path(__file__).resolve().parents[2]
WANTED = {
    *(
        "Client",
        "Config",
        "Credentials",
        "Filters",
        "SearchResult",
        "Server",
        "__version__",
        "build_bundle",
        "evaluate",
    ),
    *("load_bundle", "preprocess", "preset", "publish", "refresh", "train"),
}


def run(program, **variables):
    """Runs Python in a process of its own, without the variable that selects Keras."""
    environment = {"PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)


def test_the_facade_has_every_public_name():
    assert set(vitrine.__all__) == WANTED
    assert set(vitrine.__dir__()) >= WANTED
    assert {name: getattr(vitrine, name) is not None for name in WANTED} == dict.fromkeys(WANTED, True)


def test_the_imports_for_type_checkers_are_those_at_run_time():
    tree = ast.parse(Path(vitrine.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    stated = {alias.asname: found.module for found in block.body for alias in found.names}
    assert stated == vitrine._MODULES


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match="module 'vitrine' has no attribute 'serach'; it has Client, Config"):
        vitrine.serach  # noqa: B018


def test_the_facade_loads_no_tensorflow_for_what_needs_none():
    done = run(
        "import sys, vitrine\n"
        "assert not {name for name in sys.modules if name.split('.')[0] in ('trainer', 'serving')}\n"
        "vitrine.Config, vitrine.preset('tiny'), vitrine.Client, vitrine.Filters, vitrine.SearchResult\n"
        "vitrine.Server, vitrine.train, vitrine.preprocess, vitrine.publish\n"
        "print(sorted({'tensorflow', 'tf_keras', 'keras', 'apache_beam', 'tfx', 'aiohttp'} & set(sys.modules)))"
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.slow
def test_with_keras_3_what_needs_keras_2_refuses_with_the_remedy_and_the_rest_works(tmp_path):
    done = run(
        "import tensorflow as tf, vitrine\n"
        "assert tf.keras.__version__.startswith('3'), tf.keras.__version__\n"
        "print(vitrine.Config().search.max_page_size > 0, vitrine.Client.__name__, vitrine.Filters(), sep='|')\n"
        "try:\n"
        f"    vitrine.train('data', {str(tmp_path)!r})\n"
        "except ImportError as error:\n"
        "    print(error)"
    )
    first, refusal = done.stdout.splitlines()
    assert first.startswith("True|Client|Filters(")
    assert refusal == (
        "TensorFlow was imported before Keras 2 was selected. "
        "Set TF_USE_LEGACY_KERAS=1 in the environment, or import vitrine or trainer before tensorflow."
    )


@pytest.mark.slow
def test_keras_2_is_chosen_where_the_facade_comes_first_or_the_environment_says_so():
    program = "import tensorflow as tf, trainer.nn.fusion; print(tf.keras.layers.Layer.__module__)"
    first = run(f"import vitrine; vitrine.Config; {program}")
    assert first.stdout.startswith("tf_keras."), first.stderr
    chosen = run(program, TF_USE_LEGACY_KERAS="1")
    assert chosen.stdout.startswith("tf_keras."), chosen.stderr
