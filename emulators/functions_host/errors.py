class HostError(Exception):
    """The app cannot be hosted as it stands; the text tells its developer what to change."""
