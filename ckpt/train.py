"""Facade: the names of `tf.train`. Re-exports only."""

from typing import Any

from ckpt.model import queue_runner
from ckpt.model.batching import (
    batch,
    batch_join,
    maybe_batch,
    maybe_batch_join,
    maybe_shuffle_batch,
    maybe_shuffle_batch_join,
    shuffle_batch,
    shuffle_batch_join,
)
from ckpt.model.input import (
    input_producer,
    limit_epochs,
    match_filenames_once,
    range_input_producer,
    slice_input_producer,
    string_input_producer,
)
from ckpt.model.queue_runner import QueueRunner, add_queue_runner, start_queue_runners
from ckpt.model.saveable import SaveableObject, SaveSpec
from ckpt.model.steps import (
    assert_global_step,
    create_global_step,
    get_global_step,
    get_or_create_global_step,
    global_step,
)
from ckpt.optimize.averages import (
    ExponentialMovingAverage,
    assign_moving_average,
    weighted_moving_average,
)
from ckpt.optimize.cosines import (
    cosine_decay_restarts,
    linear_cosine_decay,
    noisy_linear_cosine_decay,
)
from ckpt.optimize.optimizers import (
    AdadeltaOptimizer,
    AdagradDAOptimizer,
    AdagradOptimizer,
    AdamOptimizer,
    FtrlOptimizer,
    GradientDescentOptimizer,
    MomentumOptimizer,
    Optimizer,
    ProximalAdagradOptimizer,
    ProximalGradientDescentOptimizer,
    RMSPropOptimizer,
)
from ckpt.optimize.schedules import (
    cosine_decay,
    exponential_decay,
    inverse_time_decay,
    natural_exp_decay,
    piecewise_constant,
    polynomial_decay,
)
from ckpt.optimize.schedules import piecewise_constant as piecewise_constant_decay
from ckpt.optimize.sync_replicas import SyncReplicasOptimizer
from ckpt.run.hooks import (
    SecondOrStepTimer,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from ckpt.saver.building import SaverBuilder
from ckpt.saver.checkpoint import Checkpoint
from ckpt.saver.copying import (
    copy_scoped_meta_graph,
    export_scoped_meta_graph,
    import_scoped_meta_graph,
    import_scoped_meta_graph_with_return_elements,
)
from ckpt.saver.graph_file import write_graph
from ckpt.saver.init_from import init_from_checkpoint
from ckpt.saver.latest import (
    Latest,
    find_latest,
    latest_checkpoint,
    rebuild_checkpoint_state,
)
from ckpt.saver.manager import CheckpointManager
from ckpt.saver.metagraph import export_meta_graph, import_meta_graph
from ckpt.saver.pending import PendingSave
from ckpt.saver.polling import checkpoints_iterator, wait_for_new_checkpoint
from ckpt.saver.pruning import pin_checkpoint, prune_checkpoints, remove_checkpoint
from ckpt.saver.readers import (
    CheckpointReader,
    get_checkpoint_mtimes,
    list_variables,
    load_checkpoint,
    load_variable,
)
from ckpt.saver.readers import new_checkpoint_reader as NewCheckpointReader
from ckpt.saver.report import RestoreReport
from ckpt.saver.retention import BestN, EveryNHours, EveryNSteps, LatestN
from ckpt.saver.saver import Saver
from ckpt.saver.state_file import (
    checkpoint_exists,
    generate_checkpoint_state_proto,
    get_checkpoint_state,
    update_checkpoint_state,
)
from ckpt.saver.state_text import CheckpointState
from ckpt.saver.warm_start import VocabInfo, warm_start
from ckpt.training.cluster import ClusterSpec
from ckpt.training.coordinator import Coordinator
from ckpt.training.creators import ChiefSessionCreator, SessionCreator, WorkerSessionCreator
from ckpt.training.device_setter import replica_device_setter
from ckpt.training.file_writer import summary_iterator
from ckpt.training.hooks import (
    FeedFnHook,
    FinalOpsHook,
    GlobalStepWaiterHook,
    NanLossDuringTrainingError,
    NanTensorHook,
    StopAtStepHook,
)
from ckpt.training.looper import LooperThread
from ckpt.training.monitored import (
    MonitoredSession,
    MonitoredTrainingSession,
    SingularMonitoredSession,
)
from ckpt.training.reporting_hooks import (
    LoggingTensorHook,
    ProfilerHook,
    StepCounterHook,
    SummarySaverHook,
)
from ckpt.training.saver_hook import CheckpointSaverHook, CheckpointSaverListener
from ckpt.training.scaffold import Scaffold
from ckpt.training.session_manager import SessionManager
from ckpt.training.supervisor import Supervisor, basic_train_loop

_MESSAGES = (
    "BytesList",
    "ClusterDef",
    "Example",
    "Feature",
    "FeatureList",
    "FeatureLists",
    "Features",
    "FloatList",
    "Int64List",
    "JobDef",
    "QueueRunnerDef",
    "SaverDef",
    "SequenceExample",
)


def __getattr__(name: str) -> Any:
    """The message classes, which load protobuf only when they are used."""
    if name in _MESSAGES:
        from ckpt.wire import messages

        return getattr(messages, name)
    raise AttributeError(f"module 'ckpt.train' has no attribute {name!r}")


__all__ = [
    "AdadeltaOptimizer",
    "AdagradDAOptimizer",
    "AdagradOptimizer",
    "AdamOptimizer",
    "BestN",
    "BytesList",
    "Checkpoint",
    "CheckpointManager",
    "CheckpointReader",
    "CheckpointSaverHook",
    "CheckpointSaverListener",
    "CheckpointState",
    "ChiefSessionCreator",
    "ClusterDef",
    "ClusterSpec",
    "Coordinator",
    "EveryNHours",
    "EveryNSteps",
    "Example",
    "ExponentialMovingAverage",
    "Feature",
    "FeatureList",
    "FeatureLists",
    "Features",
    "FeedFnHook",
    "FinalOpsHook",
    "FloatList",
    "FtrlOptimizer",
    "GlobalStepWaiterHook",
    "GradientDescentOptimizer",
    "Int64List",
    "JobDef",
    "Latest",
    "LatestN",
    "LoggingTensorHook",
    "LooperThread",
    "MomentumOptimizer",
    "MonitoredSession",
    "MonitoredTrainingSession",
    "NanLossDuringTrainingError",
    "NanTensorHook",
    "NewCheckpointReader",
    "Optimizer",
    "PendingSave",
    "ProfilerHook",
    "ProximalAdagradOptimizer",
    "ProximalGradientDescentOptimizer",
    "QueueRunner",
    "QueueRunnerDef",
    "RMSPropOptimizer",
    "RestoreReport",
    "SaveSpec",
    "SaveableObject",
    "Saver",
    "SaverBuilder",
    "SaverDef",
    "Scaffold",
    "SecondOrStepTimer",
    "SequenceExample",
    "SessionCreator",
    "SessionManager",
    "SessionRunArgs",
    "SessionRunContext",
    "SessionRunHook",
    "SessionRunValues",
    "SingularMonitoredSession",
    "StepCounterHook",
    "StopAtStepHook",
    "SummarySaverHook",
    "Supervisor",
    "SyncReplicasOptimizer",
    "VocabInfo",
    "WorkerSessionCreator",
    "add_queue_runner",
    "assert_global_step",
    "assign_moving_average",
    "basic_train_loop",
    "batch",
    "batch_join",
    "checkpoint_exists",
    "checkpoints_iterator",
    "copy_scoped_meta_graph",
    "cosine_decay",
    "cosine_decay_restarts",
    "create_global_step",
    "exponential_decay",
    "export_meta_graph",
    "export_scoped_meta_graph",
    "find_latest",
    "generate_checkpoint_state_proto",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "get_global_step",
    "get_or_create_global_step",
    "global_step",
    "import_meta_graph",
    "import_scoped_meta_graph",
    "import_scoped_meta_graph_with_return_elements",
    "init_from_checkpoint",
    "input_producer",
    "inverse_time_decay",
    "latest_checkpoint",
    "limit_epochs",
    "linear_cosine_decay",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "match_filenames_once",
    "maybe_batch",
    "maybe_batch_join",
    "maybe_shuffle_batch",
    "maybe_shuffle_batch_join",
    "natural_exp_decay",
    "noisy_linear_cosine_decay",
    "piecewise_constant",
    "piecewise_constant_decay",
    "pin_checkpoint",
    "polynomial_decay",
    "prune_checkpoints",
    "queue_runner",
    "range_input_producer",
    "rebuild_checkpoint_state",
    "remove_checkpoint",
    "replica_device_setter",
    "shuffle_batch",
    "shuffle_batch_join",
    "slice_input_producer",
    "start_queue_runners",
    "string_input_producer",
    "summary_iterator",
    "update_checkpoint_state",
    "wait_for_new_checkpoint",
    "warm_start",
    "weighted_moving_average",
    "write_graph",
]
