"""Weights of Caffe's networks, read without Caffe and without protobuf. Public names: `mlkit.saving`."""
