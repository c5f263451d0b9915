"""The only reader of settings: files and environment in, frozen `palmbot.settings.Settings` out.

``keys`` is the table of every setting, ``values`` and ``hours`` say how each kind is written, ``sources`` reads the
places, ``resolve`` puts them together, ``instrument`` turns its part into the core's units and back, ``document``
writes the commented file and the schema.
"""

from palmbot.config.document import schema, template
from palmbot.config.resolve import Resolution, load_settings, resolve
from palmbot.config.sources import FILE_NAME, OPTIONS, Assignment, Sources

__all__ = [
    "FILE_NAME",
    "OPTIONS",
    "Assignment",
    "Resolution",
    "Sources",
    "load_settings",
    "resolve",
    "schema",
    "template",
]
