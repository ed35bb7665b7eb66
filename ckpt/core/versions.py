"""Version numbers that graphs and programs ask for. Must not know anything else of the package."""

GRAPH_DEF_VERSION = 2000
"""What an exported GraphDef says of its producer: TensorFlow readers from 2.0 on take it."""
GRAPH_DEF_VERSION_MIN_CONSUMER = 0
GRAPH_DEF_VERSION_MIN_PRODUCER = 0
VERSION = "1.15.0"
"""The version of TensorFlow whose interface this is: what programs compare with."""
GIT_VERSION = "ckpt"
COMPILER_VERSION = "none"
