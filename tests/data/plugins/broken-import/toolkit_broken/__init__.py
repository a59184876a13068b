"""A plugin whose author forgot to say what it needs."""

import a_package_that_nobody_has  # noqa: F401
