"""Whose a thing is: only exact names of ours count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.runs import ids
from include.pipeline.upkeep.things import (
    Kind,
    Thing,
    is_our_deployment,
    job_of_dataset,
    job_of_folder,
    job_of_project,
    moment,
)

RUNS = st.builds(ids.job_id, st.text(), st.text())


@given(job=RUNS, slug=st.text(min_size=1))
def test_every_name_that_we_give_leads_back_to_its_run(job: str, slug: str) -> None:
    assert job_of_project(ids.project(job)) == job
    assert job_of_dataset(ids.dataset(job)) == job
    assert job_of_folder(job) == job
    assert is_our_deployment(ids.deployment(job, slug), job)


@given(st.text())
def test_other_names_lead_nowhere(name: str) -> None:
    assert job_of_project(name) is None
    assert job_of_dataset(name) is None
    assert job_of_folder(name) is None


JOB = ids.job_id("d", "r")


@pytest.mark.parametrize("name", [None, f"run-{JOB}0", f"run-{JOB[:-1]}", f"run-{JOB.upper()}", f"Run-{JOB}"])
def test_almost_our_project_is_somebody_elses(name: str | None) -> None:
    assert job_of_project(name) is None


@given(one=RUNS, other=RUNS)
def test_a_deployment_of_another_run_is_not_this_ones(one: str, other: str) -> None:
    assert is_our_deployment(ids.deployment(one, "nim"), other) == (one[:8] == other[:8])


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T05:04:05+02:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("soon", None),
        (None, None),
    ],
)
def test_times_of_the_wire(text: str | None, then: datetime | None) -> None:
    assert moment(text) == then


def test_an_age_is_never_negative() -> None:
    at = datetime.now(UTC)
    ages = [
        Thing(Kind.LEASE, "n", JOB, born).age_seconds(at)
        for born in (at + timedelta(hours=1), at - timedelta(seconds=5), None)
    ]
    assert ages == [0, 5, None]
