"""Models that leave and models that come: the archive for the real car, ONNX, import of DeepRacer models."""
