"""Deciding what goes: a snapshot and a policy become a plan; nothing here does I/O."""
