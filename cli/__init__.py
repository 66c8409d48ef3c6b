"""The command line: ``./steward``, or ``python -m cli``.

Start-up is short because nothing is imported before it is needed: ``program`` knows the names and summaries
of all commands, ``commands/`` has one module per verb with its options, and what a verb works with is
imported when it runs.
"""
