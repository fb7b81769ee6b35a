"""Layout of a bundle: names of flavours and folders, and paths of the files beside those of the SavedModel."""

FLAVOURS = ("stock", "scann")
BUILD_NUMBER = 1  # the folder of a bundle before publishing gives it its version
SAVED_MODEL_FILE = "saved_model.pb"
WARMUP_PATH = "assets.extra/tf_serving_warmup_requests"
LIMITS_PATH = "assets.extra/input_limits.json"
