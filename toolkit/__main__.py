"""``python -m toolkit`` is the command ``toolkit``."""

from __future__ import annotations

from toolkit.cli.main import main

if __name__ == "__main__":
    main()
