"""The plugin host: hooks, kinds of contributions, discovery, loading, the catalog, guarded calls."""
