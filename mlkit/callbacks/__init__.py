"""Callbacks: what happens beside the training steps (stopping, saving, logging, changing the learning rate)."""

from mlkit.callbacks.backup_and_restore import BackupAndRestore
from mlkit.callbacks.callback import Callback
from mlkit.callbacks.callback_list import CallbackList
from mlkit.callbacks.csv_logger import CSVLogger
from mlkit.callbacks.early_stopping import EarlyStopping
from mlkit.callbacks.history import History
from mlkit.callbacks.lambda_callback import LambdaCallback
from mlkit.callbacks.learning_rate_scheduler import LearningRateScheduler
from mlkit.callbacks.model_checkpoint import ModelCheckpoint
from mlkit.callbacks.monitor import MonitorCallback
from mlkit.callbacks.progbar_logger import ProgbarLogger
from mlkit.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from mlkit.callbacks.remote_monitor import RemoteMonitor
from mlkit.callbacks.swap_ema_weights import SwapEMAWeights
from mlkit.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TerminateOnNaN",
]
