"""Registries, spoken to: the one module through which everything here calls a registry.

What others need of it, and where it is (nothing is imported here, so that importing one part costs one part):

===========================  ==========================================================================
``client.RegistryClient``     any registry: ``repository(name)``, ``list_repositories()``, ``expect(...)``
``repository``                ``RepositoryClient``: resolve, fetch, push, mount, list, delete; it is a
                              ``ContentSource`` and a ``ContentTarget``
``acr.AcrClient``             Azure Container Registry: attributes, lists, locks, deletes, ``snapshot``
``dockerhub``                 ``DockerHubClient``: Docker Hub's own API; its images go by ``RegistryClient``
``copy.copy_graph``           a graph from a source to a target, the tag last; returns a ``CopyReport``
``content``                   the two protocols of copying, ``FetchedManifest``
``credentials``               ``AnonymousCredential``, ``BasicCredential``, ``EntraCredential``,
                              ``CredentialSource``, ``KnownCredentials``
``transport``                 ``TransportOptions``: trust, timeouts, threads, patience, paces
===========================  ==========================================================================

Clients are made once per registry, shared between threads, and closed at the end. All errors are those of
:mod:`shared.errors`. Retry happens in the transport and nowhere else.
"""
