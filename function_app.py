"""The Functions app: registers the doors of ``functions/`` and does nothing else.

Importing it does no I/O and reads no setting. An error here would leave the host with no functions and
no message (azure-functions-python-worker #1338), so whatever can fail happens at the first invocation.
"""

import azure.functions as func

from functions import actions, api, events, pages, poison, replication, retention

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for blueprint in (
    actions.blueprint,
    api.blueprint,
    events.blueprint,
    pages.blueprint,
    poison.blueprint,
    replication.blueprint,
    retention.blueprint,
):
    app.register_functions(blueprint)
