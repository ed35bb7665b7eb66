"""Names of files, directories and collections of a SavedModel: `tf.saved_model.constants`."""

ASSETS_DIRECTORY = "assets"
ASSETS_KEY = "saved_model_assets"
DEBUG_DIRECTORY = "debug"
DEBUG_INFO_FILENAME_PB = "saved_model_debug_info.pb"
LEGACY_INIT_OP_KEY = "legacy_init_op"
MAIN_OP_KEY = "saved_model_main_op"
SAVED_MODEL_FILENAME = "saved_model.msgpack"  # what ckpt writes
SAVED_MODEL_FILENAME_JSON = "saved_model.json"  # what it writes as text
SAVED_MODEL_FILENAME_PB = "saved_model.pb"  # TensorFlow's, which is read too
SAVED_MODEL_FILENAME_PBTXT = "saved_model.pbtxt"
SAVED_MODEL_SCHEMA_VERSION = 1
VARIABLES_DIRECTORY = "variables"
VARIABLES_FILENAME = "variables"
