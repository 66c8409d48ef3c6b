"""Who asks the Hub API, and whether they may."""

from dataclasses import dataclass
from typing import Self

from starlette.requests import Request

from emulators.dockerhub.accounts import Account, Scope
from emulators.dockerhub.api.errors import HubError, detail_error, schema_error
from emulators.dockerhub.catalogue import HubRepository
from emulators.dockerhub.hub import Hub
from emulators.dockerhub.tokens import TokenRejectedError, bearer_token


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The account of a request, or nobody."""

    hub: Hub
    account: Account | None

    @classmethod
    def of(cls, request: Request, hub: Hub) -> Self:
        """Return the caller that the bearer token names; raises 401 for a token that is no longer good."""
        authorization = request.headers.get("authorization")
        if authorization is None:
            return cls(hub=hub, account=None)
        token = bearer_token(authorization)
        if token is None:
            raise schema_error(401, "unauthorized")
        try:
            claims = hub.api_tokens.read(token)
        except TokenRejectedError as error:
            raise detail_error(401, str(error)) from error
        return cls(hub=hub, account=Account.from_claims(claims))

    def sees(self, repository: HubRepository) -> bool:
        return not repository.private or (
            self.account is not None and self.account.may("repo:read", repository.namespace)
        )

    def repository(self, request: Request) -> HubRepository:
        """Return the repository of the path; one that the caller may not see does not exist for them."""
        namespace, name = request.path_params["namespace"], request.path_params["repository"]
        repository = self.hub.catalogue.find(f"{namespace}/{name}")
        if repository is None or not self.sees(repository):
            raise HubError(404, {"message": "object not found", "errinfo": {"namespace": namespace}})
        return repository

    def require(self, scope: Scope, namespace: str) -> Account:
        """Return the account, when it reaches ``scope`` in the namespace; raises 401 or 403 otherwise."""
        if self.account is None:
            raise schema_error(401, "unauthorized")
        if namespace not in self.account.namespaces:
            raise schema_error(403, "permission denied")
        if not self.account.may(scope, namespace):
            raise detail_error(403, "access denied: insufficient scope")
        return self.account
