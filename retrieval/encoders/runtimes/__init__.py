"""What runs a network: compiled code, ONNX Runtime, torch, sentence-transformers."""
