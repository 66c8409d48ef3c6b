"""The registry engine that the ACR and Docker Hub emulators share.

    state = RegistryState(clock=..., read_lag=0.0)              state.py: what is kept; works without HTTP
    app = Distribution(RegistryHost(state))                     distribution.py: /v2/ as an ASGI app
    storage = BlobStorage(state.content, clock=state.clock)     storage.py: the host blob GETs are sent to
    image = build_image(...); image.push_to(state, "team/app", tag="v1")     images.py: content to try with
    seed(state, document)                                       seed.py: a registry from YAML, back-dated

`RegistryHost` (host.py) lists the decisions a product takes: credentials, locks, redirects, events.
"""
