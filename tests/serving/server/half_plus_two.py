"""TF's own example, y = x / 2 + 2, with predict, classify and regress signatures, by TF1 and by TF2."""

from pathlib import Path

import tensorflow as tf

REGRESS_SIGNATURE = "tensorflow/serving/regress"  # The documentation's examples call it by this name.
PARSED = {"x": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0])}


def save_tf1(path: Path, *, plus: float = 2.0) -> Path:
    """As TF1 exports: parsing in the graph, every signature under the method name of its kind."""
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        half = v1.get_variable("a", initializer=0.5, use_resource=False)
        two = v1.get_variable("b", initializer=plus, use_resource=False)
        serialised = v1.placeholder(tf.string, [None], name="tf_example")
        x = tf.identity(v1.io.parse_example(serialised, PARSED)["x"], name="x")
        y = tf.add(tf.multiply(half, x), two, name="y")
        y2 = tf.add(y, 1.0, name="y2")
        classes = tf.where(y > 3.0, "big", "small")
        session.run(v1.global_variables_initializer())
        info, build = v1.saved_model.build_tensor_info, v1.saved_model.build_signature_def

        def signature(method: str, given: tf.Tensor, **outputs: tf.Tensor) -> object:
            name = "x" if method == "predict" else "inputs"
            found = {alias: info(tensor) for alias, tensor in outputs.items()}
            return build({name: info(given)}, found, method_name=f"tensorflow/serving/{method}")

        builder = v1.saved_model.Builder(str(path))
        signatures = {
            "serving_default": signature("predict", x, y=y),
            "regress_x_to_y": signature("regress", serialised, outputs=y),
            REGRESS_SIGNATURE: signature("regress", serialised, outputs=y),
            "regress_x_to_y2": signature("regress", serialised, outputs=y2),
            "regress_wide": signature("regress", serialised, outputs=tf.concat([y, y2], axis=1)),
            "classify_x_to_y": signature("classify", serialised, scores=y),
            "classify_x": signature("classify", serialised, classes=classes, scores=y),
            "classify_flat": signature("classify", serialised, scores=tf.squeeze(y, axis=1)),
        }
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()
    return path


class HalfPlusTwo(tf.Module):
    """As TF2 exports: functions, all under the method name of predict."""

    def __init__(self) -> None:
        super().__init__()
        self.a = tf.Variable(0.5)
        self.b = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])
    def predict(self, x):
        return {"y": self.a * x + self.b}

    def of_examples(self, inputs):
        return self.predict(tf.io.parse_example(inputs, PARSED)["x"])["y"]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress_x_to_y(self, inputs):
        return {"outputs": self.of_examples(inputs)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress_x_to_y2(self, inputs):
        return {"outputs": self.of_examples(inputs) + 1.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress_wide(self, inputs):
        return {"outputs": tf.tile(self.of_examples(inputs), [1, 2])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify_x_to_y(self, inputs):
        return {"scores": self.of_examples(inputs)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify_x(self, inputs):
        y = self.of_examples(inputs)
        return {"classes": tf.where(y > 3.0, "big", "small"), "scores": y}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify_flat(self, inputs):
        return {"scores": tf.squeeze(self.of_examples(inputs), axis=1)}


def save_tf2(path: Path) -> Path:
    model = HalfPlusTwo()
    names = [f"regress_{kind}" for kind in ("x_to_y", "x_to_y2", "wide")]
    names += [f"classify_{kind}" for kind in ("x_to_y", "x", "flat")]
    signatures = {"serving_default": model.predict, **{name: getattr(model, name) for name in names}}
    tf.saved_model.save(model, str(path), signatures=signatures)
    return path
