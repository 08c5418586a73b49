"""The forms of a report, one file each, found by name: ``--output KIND=PATH``, ``--format KIND``.

A kind is a module here with ``render(outcomes, options) -> str``.
"""
