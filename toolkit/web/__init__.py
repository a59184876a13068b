"""The toolkit's web."""
