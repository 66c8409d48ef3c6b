from tests.jobs.servers import servers, world

__all__ = ["servers", "world"]
