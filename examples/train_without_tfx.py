"""Training without TFX: two fusions compared on the same Examples, the better one built into a bundle.

.venv/bin/vitrine make-shop --output runs/two_fusions/shop
.venv/bin/python examples/train_without_tfx.py --shop runs/two_fusions/shop --output runs/two_fusions
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import vitrine
from trainer.spec.tower import Fusion


def main(arguments: Sequence[str] | None = None) -> None:
    """Preprocesses once, trains twice, and builds a bundle of the model with the better recall@10."""
    options = _parser().parse_args(arguments)
    output: Path = options.output
    tiny = vitrine.preset("tiny")
    config = dataclasses.replace(tiny, train=dataclasses.replace(tiny.train, epochs=options.epochs))
    vitrine.preprocess(options.shop, output / "data", config=config)

    recalls = {}
    for fusion in (Fusion.GATED, Fusion.SUM):
        variant = dataclasses.replace(config, tower=dataclasses.replace(config.tower, fusion=fusion))
        trained = vitrine.train(output / "data", output / fusion.value, config=variant)
        recalls[fusion] = trained.report.value("held_out", "all", "recall@10")
    for fusion, recall in recalls.items():
        print(f"{fusion.value:8} recall@10 {recall:.3f}")

    best = max(recalls, key=recalls.__getitem__)
    vitrine.build_bundle(output / best.value / "towers", output / "data", output / "bundle")
    quality = vitrine.evaluate(output / "bundle" / "stock" / "1", output / "data")
    print(f"the bundle of {best.value}: recall@10 {quality.recall:.3f}, popularity {quality.popularity:.3f}")


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Compares two fusions and builds a bundle of the better one.")
    made.add_argument("--shop", type=Path, required=True, help="folder with the catalogue and the events")
    made.add_argument("--output", type=Path, default=Path("runs/two_fusions"), help="everything is written below it")
    made.add_argument("--epochs", type=int, default=4, help="passes over the events")
    return made


if __name__ == "__main__":
    main()
