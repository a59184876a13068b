"""The toolkit's engine."""
