"""What the transport leaves out of a request's preparation must change nothing of the request."""

import string

import requests
from hypothesis import given
from hypothesis import strategies as st

from shared.registry.addresses import origin_of
from shared.registry.connections import ConnectionPool
from shared.registry.transport import _is_normal

hosts = st.sampled_from(["myreg.azurecr.io", "localhost:5000", "127.0.0.1:8443", "[::1]:5000", "A.example"])
pieces = st.text(string.ascii_letters + string.digits + "/._~-:@%?&=+,; #\\[]é\x00\n", max_size=12)
encoded = st.sampled_from(["%2F", "%2f", "%41", "%zz", "/../", "/./", "//", "?", "&last=", "%E2%82%AC"])


@given(st.builds("https://{}/{}{}{}".format, hosts, pieces, encoded, pieces))
def test_a_url_that_is_taken_as_it_is_is_what_preparing_makes_of_it(url: str) -> None:
    if _is_normal(url):
        prepared = requests.PreparedRequest()
        prepared.prepare_url(url, None)
        assert prepared.url == url


def test_the_urls_of_a_night_are_taken_as_they_are() -> None:
    digest = "sha256:" + "0a" * 32
    for path in (
        "/acr/v1/_catalog?n=1000&last=team/app",
        "/acr/v1/team%2Fapp/_manifests?n=1000&orderby=timedesc",
        f"/acr/v1/team%2Fapp/_manifests/{digest}",
        f"/v2/team/app/manifests/{digest}",
        "/v2/team/app/blobs/uploads/?mount=" + digest.replace(":", "%3A"),
    ):
        assert _is_normal(f"https://myreg.azurecr.io{path}"), path


def test_the_registrys_own_connections_outlive_those_to_many_hosts_and_end_when_closed() -> None:
    pool = ConnectionPool(origin_of("http://127.0.0.1:9"), registry="127.0.0.1:9", threads=1)

    def connections(url: str) -> object:
        request = requests.PreparedRequest()
        request.url = url
        return pool.get_connection_with_tls_context(request, verify=True, proxies={})

    first = connections("http://127.0.0.1:9/v2/")
    for port in range(10, 30):
        assert connections(f"http://127.0.0.1:{port}/") is not first
    assert connections("http://127.0.0.1:9/v2/team/app/tags/list") is first
    pool.close()
    assert connections("http://127.0.0.1:9/v2/") is not first
    pool.close()
