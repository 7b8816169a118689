"""Caffe's messages as protobuf's own library knows them, from a schema made here: it writes the files of the tests and judges
how they are read."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_F = descriptor_pb2.FieldDescriptorProto
_ONE, _MANY = _F.LABEL_OPTIONAL, _F.LABEL_REPEATED


def _schema(packed):
    file = descriptor_pb2.FileDescriptorProto(name=f"caffe{packed:d}.proto", package=f"caffe{packed:d}", syntax="proto2")

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for field, number, label, kind in fields:
            added = made.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _F.TYPE_MESSAGE, f".{file.package}.{kind}"
            else:
                added.type = kind
            if label == _MANY and kind in (_F.TYPE_FLOAT, _F.TYPE_DOUBLE, _F.TYPE_INT64):
                added.options.packed = packed

    message("BlobShape", ("dim", 1, _MANY, _F.TYPE_INT64))
    message(
        "BlobProto",
        *((name, i, _ONE, _F.TYPE_INT32) for i, name in enumerate(("num", "channels", "height", "width"), 1)),
        ("data", 5, _MANY, _F.TYPE_FLOAT),
        ("diff", 6, _MANY, _F.TYPE_FLOAT),
        ("shape", 7, _ONE, "BlobShape"),
        ("double_data", 8, _MANY, _F.TYPE_DOUBLE),
    )
    bytes_, blobs = _F.TYPE_BYTES, "BlobProto"  # a string of proto2 may be any bytes
    message(
        "LayerParameter",
        ("name", 1, _ONE, bytes_),
        ("type", 2, _ONE, bytes_),
        ("bottom", 3, _MANY, bytes_),
        ("blobs", 7, _MANY, blobs),
    )
    message(
        "V1LayerParameter",
        ("layer", 1, _ONE, bytes_),
        ("bottom", 2, _MANY, bytes_),
        ("name", 4, _ONE, bytes_),
        ("type", 5, _ONE, _F.TYPE_INT64),
        ("blobs", 6, _MANY, blobs),
    )
    message(
        "NetParameter",
        ("name", 1, _ONE, bytes_),
        ("layers", 2, _MANY, "V1LayerParameter"),
        ("layer", 100, _MANY, "LayerParameter"),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.NetParameter"))


PACKED, UNPACKED = _schema(True), _schema(False)
_V1_TYPES = {"Convolution": 4, "Deconvolution": 39, "InnerProduct": 14, "ReLU": 18}


def network(layers, version_1=False, legacy=False, doubles=False, packed=True):
    """A NetParameter with layers [(name, type, arrays)]. legacy: shapes as four axes; doubles: numbers of 64 bits."""
    net = (PACKED if packed else UNPACKED)(name=b"net")
    for name, kind, arrays in layers:
        layer = (net.layers if version_1 else net.layer).add(name=name.encode(), bottom=[b"x"])
        layer.type = _V1_TYPES[kind] if version_1 else kind.encode()
        for array in arrays:
            blob = layer.blobs.add()
            (blob.double_data if doubles else blob.data).extend(array.ravel().tolist())
            if legacy:
                blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - array.ndim) + array.shape
            else:
                blob.shape.dim.extend(array.shape)
    return net
