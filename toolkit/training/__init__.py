"""Training: runs that can be resumed, fine-tuning, history and plots."""
