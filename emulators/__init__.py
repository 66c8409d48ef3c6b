"""Loopback stand-ins for the services that the app talks to.

An island: nothing here imports the app, so that one misreading of a protocol cannot pass on both sides.
These are development tools. They bind 127.0.0.1 only and keep everything in memory.
"""
