"""Who else is told how a training goes: TensorBoard, Prometheus, Telegraf, CloudWatch, Weights & Biases, MLflow."""
