"""Who may do what: the table that the tests check, cell by cell, and docs/roles.md that is made from it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .people import DAGS, of_on_demand, of_workload

# Roles that every auth manager has; those that take permissions of single DAGs exist with FAB alone.
EVERYWHERE = ("nobody", "viewer", "user", "operator", "admin")
WITH_FAB = ("globex", "initech", "stranger")
CALLERS = (*EVERYWHERE, *WITH_FAB)

# `yes`: done. `own`: done, and shows only what the caller may see. `401`: nobody is logged in. `403`: known,
# and not allowed. `404`: for this caller there is no such thing.
TABLE = """
request                                            nobody viewer user operator admin globex initech stranger

GET    /api/jobs                                   401    yes    yes  yes      yes   own    own     own
POST   /api/jobs                      of globex    401    403    yes  yes      yes   yes    403     403
POST   /api/jobs                      of initech   401    403    yes  yes      yes   403    yes     403
GET    /api/jobs/{job_id}             of globex    401    yes    yes  yes      yes   yes    404     404
GET    /api/jobs/{job_id}             of initech   401    yes    yes  yes      yes   404    yes     404
GET    /api/jobs/{job_id}/report      of globex    401    yes    yes  yes      yes   yes    404     404
GET    /api/jobs/{job_id}/report      of initech   401    yes    yes  yes      yes   404    yes     404
GET    /api/jobs/{job_id}/timeline    of globex    401    yes    yes  yes      yes   yes    404     404
GET    /api/jobs/{job_id}/timeline    of initech   401    yes    yes  yes      yes   404    yes     404
GET    /api/jobs/{job_id}/items       of globex    401    yes    yes  yes      yes   yes    404     404
GET    /api/jobs/{job_id}/items       of initech   401    yes    yes  yes      yes   404    yes     404
POST   /api/jobs/{job_id}/cancel      of globex    401    403    yes  yes      yes   yes    404     404
POST   /api/jobs/{job_id}/cancel      of initech   401    403    yes  yes      yes   404    yes     404
POST   /api/jobs/{job_id}/retry       of globex    401    403    yes  yes      yes   yes    404     404
POST   /api/jobs/{job_id}/retry       of initech   401    403    yes  yes      yes   404    yes     404
DELETE /api/jobs/{job_id}             of globex    401    403    yes  yes      yes   yes    404     404
DELETE /api/jobs/{job_id}             of initech   401    403    yes  yes      yes   404    yes     404

GET    /api/workloads                              401    yes    yes  yes      yes   own    own     own
GET    /api/nims                                   401    yes    yes  yes      yes   yes    yes     yes
GET    /api/nims/{name}                            401    yes    yes  yes      yes   yes    yes     yes
PUT    /api/nims/{name}                            401    403    403  yes      yes   403    403     403
DELETE /api/nims/{name}/override                   401    403    403  yes      yes   403    403     403

POST   /v1/feedback                                401    403    yes  yes      yes   403    403     403
DELETE /v1/feedback                                401    403    yes  yes      yes   403    403     403
GET    /v1/feedback/accuracy                       401    yes    yes  yes      yes   403    403     403
GET    /v1/feedback/stats                          401    yes    yes  yes      yes   403    403     403
POST   /v1/feedback/export/finetuning              401    403    yes  yes      yes   403    403     403
GET    /v1/feedback/{feedback_id}                  401    yes    yes  yes      yes   403    403     403
PUT    /v1/feedback/{feedback_id}                  401    403    yes  yes      yes   403    403     403
DELETE /v1/feedback/{feedback_id}                  401    403    yes  yes      yes   403    403     403
GET    /v1/health                                  yes    yes    yes  yes      yes   yes    yes     yes

GET    /api/health                                 own    yes    yes  yes      yes   own    own     own
GET    /api/metrics                                401    403    403  yes      yes   403    403     403
"""


@dataclass(frozen=True)
class Row:
    """One line of the table. `client`: whose job is asked for; "" where a request names none."""

    method: str
    path: str
    client: str
    allowed: dict[str, str] = field(hash=False)

    @property
    def endpoint(self) -> tuple[str, str]:
        """Method and path, as OpenAPI has them."""
        return self.method, self.path


def rows() -> Iterator[Row]:
    """The lines of the table."""
    for line in TABLE.splitlines()[2:]:
        words = line.split()
        if words:
            cells = dict(zip(CALLERS, words[-len(CALLERS) :], strict=True))
            method, path, *of = words[: -len(CALLERS)]
            yield Row(method, path, of[-1] if of else "", cells)


_INTRODUCTION = """\
# Roles

Made from the table in `tests/web/roles.py` by `python -m tests.web.roles > docs/roles.md`. Do not edit: the
tests ask every endpoint in the name of every role, and compare.

Whoever calls the API is a user of Airflow, and may do what Airflow lets them do; there are no users, roles or
keys of ours. What may be done to a job is what may be done to the runs of its workload's DAG,
`flywheel__<client>__<workload>`: reading takes the permission to read them, starting to create, cancel and
retry to edit, deleting to delete. A workload without a DAG of its own runs by `flywheel_on_demand`; the
permissions that count are those on the id that its DAG would have. The catalogue and the metrics take what
Airflow asks for to add a pool: the role Op or Admin, in every auth manager. What may be done to feedback is
what may be done to the runs of `feedback_export`, all projects alike; keys of single projects exist where the
feedback API is served alone (feedback.md).

- **yes**: done
- **own**: done, and shows only what the caller may see
- **401**: nobody is logged in
- **403**: the caller may see it, and not do this; or names a workload that is not theirs
- **404**: for this caller there is no such job, in the very words of a job that nobody has

## Roles for all workloads

The roles of the simple auth manager, and of FAB (`Viewer`, `User`, `Op`, `Admin`). The simple one knows only
these.
"""
_CLIENTS = """\
## Roles for single workloads

With FAB a role can be given permissions of single DAGs. A person with such a role sees the jobs of these
workloads, and of no others, in no endpoint.
"""
_GRANTS = """\
Such a role, for client `globex` and its workload `desk`. `DAG Runs` and `Task Instances` stand for those of
all DAGs, and open none: Airflow asks for the DAG as well.
"""
_ON_DEMAND = """\
For a workload without a DAG of its own the role has the same, by the id that the DAG would have (FAB makes a
permission by its name), and the following. It may not *read* `flywheel_on_demand`, which holds the runs of
all clients. But whoever may end runs of that DAG may end any of them by Airflow's own API, if they know or
guess its run id: a client that must be safe from that gets a workload file, and so a DAG, of its own.
"""


def page() -> str:
    """docs/roles.md, as Markdown."""
    shown = list(rows())
    plain = {row.endpoint: [row.allowed[name] for name in EVERYWHERE] for row in shown}
    parts = [
        _INTRODUCTION,
        _table(["Request", "nobody", "Viewer", "User", "Op", "Admin"], _requests(plain)),
        _CLIENTS,
        _table(["Request", "own workload", "another's", "no permission"], _requests(_by_client(shown))),
        _GRANTS,
        _table(["Resource", "Actions"], _permissions(of_workload(DAGS["globex"]))),
        _ON_DEMAND,
        _table(["Resource", "Actions"], _permissions(of_on_demand())),
    ]
    return "\n".join(parts)


def _by_client(shown: Sequence[Row]) -> dict[tuple[str, str], list[str]]:
    """For each endpoint: what a person of one client may do to theirs, to another's; and who has none."""
    cells: dict[tuple[str, str], list[str]] = {}
    for row in shown:
        other = {"globex": "initech", "initech": "globex"}.get(row.client, "globex")
        of_other = row.allowed[other] if row.client else ""
        said = [row.allowed[row.client or "globex"], of_other, row.allowed["stranger"]]
        if cells.setdefault(row.endpoint, said) != said:
            raise ValueError(f"{row.method} {row.path}: the clients may not do the same")
    return cells


def _requests(cells: dict[tuple[str, str], list[str]]) -> Iterator[list[str]]:
    return ([f"`{method} {path}`", *words] for (method, path), words in cells.items())


def _permissions(grants: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
    actions: dict[str, list[str]] = {}
    for action, resource in grants:
        actions.setdefault(resource, []).append(action)
    return ([f"`{resource}`", ", ".join(those)] for resource, those in actions.items())


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (heads, ["---"] * len(heads), *lines))


if __name__ == "__main__":
    sys.stdout.write(page())
