# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.callbacks.backup_and_restore import BackupAndRestore as BackupAndRestore
from mlkit.callbacks.callback import Callback as Callback
from mlkit.callbacks.callback_list import CallbackList as CallbackList
from mlkit.callbacks.csv_logger import CSVLogger as CSVLogger
from mlkit.callbacks.early_stopping import EarlyStopping as EarlyStopping
from mlkit.callbacks.history import History as History
from mlkit.callbacks.lambda_callback import LambdaCallback as LambdaCallback
from mlkit.callbacks.learning_rate_scheduler import LearningRateScheduler as LearningRateScheduler
from mlkit.callbacks.model_checkpoint import ModelCheckpoint as ModelCheckpoint
from mlkit.callbacks.monitor import MonitorCallback as MonitorCallback
from mlkit.callbacks.progbar_logger import ProgbarLogger as ProgbarLogger
from mlkit.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau as ReduceLROnPlateau
from mlkit.callbacks.refused import OrbaxCheckpoint as OrbaxCheckpoint
from mlkit.callbacks.remote_monitor import RemoteMonitor as RemoteMonitor
from mlkit.callbacks.swap_ema_weights import SwapEMAWeights as SwapEMAWeights
from mlkit.callbacks.tensorboard import TensorBoard as TensorBoard
from mlkit.callbacks.terminate_on_nan import TerminateOnNaN as TerminateOnNaN
from mlkit.debugger.live import LiveDebugger as LiveDebugger
