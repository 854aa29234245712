"""Gives Elasticsearch the flywheel's user, role and index template, and Kibana's user its password.

Reads ELASTICSEARCH_URL, ELASTIC_PASSWORD (of the built-in user `elastic`), ELASTICSEARCH_INDEX,
ELASTICSEARCH_FLYWHEEL_PASSWORD and KIBANA_SYSTEM_PASSWORD. Safe to repeat: a changed password is set.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from elasticsearch import ApiError, Elasticsearch, TransportError

from include.flywheel.errors import DataError
from include.flywheel.logs.elastic import template

NAME = "flywheel"
# What reading, loading and the installation of the template need, and nothing else.
CLUSTER_PRIVILEGES = ["monitor", "manage_index_templates"]
INDEX_PRIVILEGES = ["read", "view_index_metadata", "create_doc", "create_index", "maintenance"]

log = logging.getLogger("prepare_elasticsearch")


def prepare(client: Elasticsearch, index: str, password: str, kibana_password: str) -> None:
    """Put role, user and template. Raises what the client raises, and DataError for a refused template."""
    client.security.put_role(
        name=NAME,
        cluster=CLUSTER_PRIVILEGES,
        indices=[{"names": [index, f"{index}-*"], "privileges": INDEX_PRIVILEGES}],
    )
    client.security.put_user(username=NAME, password=password, roles=[NAME])
    if kibana_password:
        client.security.change_password(username="kibana_system", password=kibana_password)
    name = template.install(client, index)
    log.info("role and user %r and index template %r are there", NAME, name)


def main(environment: Mapping[str, str] = os.environ) -> None:
    """Prepare the server that the environment names. Raises SystemExit with a reason, without secrets."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    url = environment["ELASTICSEARCH_URL"]
    client = Elasticsearch(
        url,
        basic_auth=("elastic", environment["ELASTIC_PASSWORD"]),
        max_retries=10,
        retry_on_status=(429, 502, 503, 504),
        retry_on_timeout=True,
    )
    try:
        prepare(
            client,
            environment.get("ELASTICSEARCH_INDEX") or NAME,
            environment["ELASTICSEARCH_FLYWHEEL_PASSWORD"],
            environment.get("KIBANA_SYSTEM_PASSWORD", ""),
        )
    except (ApiError, TransportError, DataError) as error:
        raise SystemExit(f"prepare_elasticsearch: {url}: {type(error).__name__}: {error}") from None


if __name__ == "__main__":
    main()
