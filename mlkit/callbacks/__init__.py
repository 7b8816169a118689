"""Callbacks: what happens beside the training steps (stopping, saving, logging, changing the learning rate)."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".backup_and_restore": "BackupAndRestore",
        ".callback": "Callback",
        ".callback_list": "CallbackList",
        ".csv_logger": "CSVLogger",
        ".early_stopping": "EarlyStopping",
        ".history": "History",
        ".lambda_callback": "LambdaCallback",
        ".learning_rate_scheduler": "LearningRateScheduler",
        ".model_checkpoint": "ModelCheckpoint",
        ".monitor": "MonitorCallback",
        ".progbar_logger": "ProgbarLogger",
        ".reduce_lr_on_plateau": "ReduceLROnPlateau",
        ".refused": "OrbaxCheckpoint",
        ".remote_monitor": "RemoteMonitor",
        ".swap_ema_weights": "SwapEMAWeights",
        ".tensorboard": "TensorBoard",
        "mlkit.debugger.live": "LiveDebugger",
        ".terminate_on_nan": "TerminateOnNaN",
    },
)
