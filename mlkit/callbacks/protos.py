"""TensorFlow's messages (protocol buffers) of event files, from tensorboardX, which need not be installed."""

try:
    from tensorboardX import event_file_writer
    from tensorboardX.proto import (
        attr_value_pb2,
        event_pb2,
        graph_pb2,
        node_def_pb2,
        summary_pb2,
        tensor_pb2,
        tensor_shape_pb2,
        versions_pb2,
    )
except ImportError:
    event_file_writer = None
    attr_value_pb2 = event_pb2 = graph_pb2 = node_def_pb2 = summary_pb2 = tensor_pb2 = tensor_shape_pb2 = versions_pb2 = None


def assert_installed(user: str) -> None:
    """Raise ImportError, with the way out, where event files cannot be written."""
    if event_file_writer is None:
        raise ImportError(f'{user} needs the package tensorboardX: run `pip install "mlkit-engine[tensorboard]"`.')
