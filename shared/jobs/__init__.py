"""The jobs: the only place where decisions meet I/O. One function per trigger, called by the doors."""
