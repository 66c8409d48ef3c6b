"""Deciding what is copied where: events in, targets out; nothing here does I/O."""
