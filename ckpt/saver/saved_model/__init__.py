"""Models as TensorFlow 1's SavedModels: MetaGraphs by tags, variables, assets and signatures in one directory."""
