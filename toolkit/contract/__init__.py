"""What a plugin must do, as checks; run by ``toolkit plugins check`` and by :mod:`toolkit.testing`."""
