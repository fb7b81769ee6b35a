"""The towers' matrix work alone: the same products in float32 and in bfloat16.

python -m benchmarks.training.matrices
"""

import json
import time

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

# What the base preset multiplies in a step of 1,024 rows: [rows, inner, outer].
PRODUCTS = {
    "patches of photos": (1024 * 256, 48, 32),
    "text gates": (1024 * 32, 112, 192),
    "token features": (1024 * 32, 160, 128),
    "large, for comparison": (4096, 1024, 1024),
}


def main() -> None:
    """Prints one JSON line for each product."""
    for name, (rows, inner, outer) in PRODUCTS.items():
        seconds = {}
        for dtype in (tf.float32, tf.bfloat16):
            left = tf.cast(tf.random.normal([rows, inner]), dtype)
            right = tf.cast(tf.random.normal([inner, outer]), dtype)
            product = tf.function(lambda a, b: tf.matmul(a, b))
            product(left, right)
            times: list[float] = []
            while len(times) < 5 or sum(times) < 2.0:
                start = time.perf_counter()
                product(left, right)
                times.append(time.perf_counter() - start)
            seconds[dtype.name] = min(times)
        giga = 2e-9 * rows * inner * outer
        print(
            json.dumps(
                {
                    "product": name,
                    "shape": [rows, inner, outer],
                    "float32_gflops": round(giga / seconds["float32"], 1),
                    "bfloat16_gflops": round(giga / seconds["bfloat16"], 1),
                    "times_as_fast": round(seconds["float32"] / seconds["bfloat16"], 2),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
