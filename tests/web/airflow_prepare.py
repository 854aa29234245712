"""Run in the server's environment: makes its database, with connections and DAGs, in one process."""

from __future__ import annotations

import sys

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db

from include.local_stack import airflow_setup


def main(settings_file: str) -> None:
    """The stack's own setup, and what `airflow dags reserialize` does."""
    airflow_setup.main(settings_file)
    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    for bundle in manager.get_all_dag_bundles():
        bundle.initialize()
        bag = BundleDagBag(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        assert not bag.import_errors, bag.import_errors
        sync_bag_to_db(bag, bundle.name, bundle_version=bundle.get_current_version())


if __name__ == "__main__":
    main(sys.argv[1])
