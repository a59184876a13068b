"""What a plugin must fulfil, as checks that ``toolkit plugins check`` and :mod:`toolkit.testing` run."""
