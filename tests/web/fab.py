"""Makes roles and people of Airflow's FAB auth manager, as standard input tells them: see people.py.

Run in the environment of a server that has started: that is what makes FAB's own roles.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.providers.fab.www.security_appless import ApplessAirflowSecurityManager
from airflow.utils.session import create_session
from werkzeug.security import generate_password_hash


def main() -> None:
    """Input: `roles`, each with its permissions as [action, resource]; `people`, each with role and password.

    A permission is made by its name, whether or not there is such a DAG.
    """
    wanted: dict[str, Any] = json.load(sys.stdin)
    with create_session() as session:
        security = ApplessAirflowSecurityManager(session=session)
        for name, grants in wanted["roles"].items():
            role = security.add_role(name)
            for action, resource in grants:
                security.add_permission_to_role(role, security.create_permission(action, resource))
        for name, person in wanted["people"].items():
            role = security.find_role(person["role"])
            assert role is not None, f"no role {person['role']}"
            hashed = generate_password_hash(person["password"])
            security.add_user(name, name, name, f"{name}@example.org", role, hashed_password=hashed)


if __name__ == "__main__":
    main()
