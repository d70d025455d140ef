"""HTTP in, answers out. Knows onnxruntime; never imports torch, onnx or training."""
