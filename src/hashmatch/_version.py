"""The version, alone, so that every room can name it without importing the package."""

from typing import Final

__version__: Final = "0.1.0"
"""Version of hashmatch, as in the changelog."""
