"""The toolkit's merging."""
