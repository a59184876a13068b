"""The toolkit's training."""
