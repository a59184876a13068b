"""The toolkit's store."""
