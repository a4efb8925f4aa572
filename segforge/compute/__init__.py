"""What every room computes and writes with: devices, executors, whole files, documents, progress."""
