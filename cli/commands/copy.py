from pathlib import Path

import click

from cli.access import Access, read_password
from cli.output import Output
from cli.verbs import verb


@verb(
    examples=(
        "steward copy myreg.azurecr.io/team/app:v1.2 docker.io/acme/app:v1.2",
        "steward copy myreg.azurecr.io/team docker.io/acme --recursive",
        "steward copy localhost:5000/app:v1 localhost:5001/app --plain-http",
    ),
    shape='{"copies": [{"source", "target", "result": "copied", "up_to_date", "failed" or "stopped", '
    '"digest", "blobs_copied", "blobs_mounted", "blobs_skipped", "manifests_copied", "referrers", '
    '"bytes_copied", "seconds", "detail"}]}',
)
@click.argument("source")
@click.argument("target")
@click.option("-r", "--recursive", is_flag=True, help="Every tag of SOURCE and of the repositories below it.")
@click.option("--no-referrers", is_flag=True, help="Leave signatures and SBOMs behind.")
@click.option("--public", is_flag=True, help="Make missing Docker Hub repositories public; else private.")
@click.option("--source-username", help="Else STEWARD_SOURCE_USERNAME; for Docker Hub DOCKERHUB_USERNAME.")
@click.option("--source-password", help="Else STEWARD_SOURCE_PASSWORD; for Docker Hub DOCKERHUB_TOKEN.")
@click.option("--target-username", help="Else STEWARD_TARGET_USERNAME; for Docker Hub DOCKERHUB_USERNAME.")
@click.option("--target-password", help="Else STEWARD_TARGET_PASSWORD; for Docker Hub DOCKERHUB_TOKEN.")
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="STEWARD_CA_FILE",
    help="Authority of both certificates.",
)
@click.option("--plain-http", is_flag=True, help="Both without TLS; on this machine only.")
@click.option("--source-plain-http", is_flag=True, help="Only SOURCE without TLS.")
@click.option("--target-plain-http", is_flag=True, help="Only TARGET without TLS.")
def copy(
    output: Output,
    *,
    source: str,
    target: str,
    recursive: bool,
    no_referrers: bool,
    public: bool,
    source_username: str | None,
    source_password: str | None,
    target_username: str | None,
    target_password: str | None,
    ca_file: Path | None,
    plain_http: bool,
    source_plain_http: bool,
    target_plain_http: bool,
) -> int:
    """Copy an image, or with --recursive whole repositories, from any registry to any other.

    All platforms and signatures come along, every byte is verified, what is there is not moved again, and
    the tag comes last. Without a tag, TARGET gets SOURCE's.
    """
    from cli.copying import CONNECTIONS, Copier, copy_all, copy_one
    from cli.registries import Registries
    from shared.oci.names import DOCKER_HUB

    hosts = {source.partition("/")[0], target.partition("/")[0]}
    unambiguous = len(hosts - {DOCKER_HUB}) == 1  # STEWARD_PASSWORD must not go to the other registry

    def access(side: str, username: str | None, password: str | None, *, plain: bool) -> Access:
        return Access(
            ca_file=ca_file,
            username=username,
            password=read_password(username, password, stdin=False),
            plain_http=plain_http or plain,
            prefixes=(f"STEWARD_{side}", *(("STEWARD",) if unambiguous else ())),
        )

    sources = access("SOURCE", source_username, source_password, plain=source_plain_http)
    targets = access("TARGET", target_username, target_password, plain=target_plain_http)
    with (
        Registries(sources, threads=CONNECTIONS, content_only=True) as read,
        Registries(targets, threads=CONNECTIONS, content_only=True) as write,
    ):
        copier = Copier(output, read, write, referrers=not no_referrers, public=public)
        return (copy_all if recursive else copy_one)(copier, source, target)
