"""The toolkit's operations."""
