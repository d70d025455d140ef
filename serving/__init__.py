"""HTTP in, answers out. Knows onnxruntime; never imports torch, onnx or training."""

import os

# Read when onnxruntime is imported: else it starts a thread, and keeps a device id on the disk.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
