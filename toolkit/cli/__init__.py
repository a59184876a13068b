"""The toolkit's cli."""
