"""Names that a run's remote things carry, for all runs and NIMs."""

from __future__ import annotations

import hashlib
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.config.nims import load_catalogue
from include.flywheel.runs import ids
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
jobs = st.text("0123456789abcdef", min_size=24, max_size=24)
slugs = st.text(min_size=1, max_size=120)


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=50)
def test_the_job_id_is_the_digest_of_dag_and_run(dag_id: str, run_id: str) -> None:
    digest = hashlib.new("sha256", "/".join([dag_id, run_id]).encode()).hexdigest()
    assert ids.job_id(dag_id, run_id) == digest[:24]


def test_a_known_job_id() -> None:
    # printf %s 'flywheel__acme__desk/manual__1' | sha256sum
    assert ids.job_id("flywheel__acme__desk", "manual__1") == "f111f163e7cf36d048111bc4"


@given(jobs, slugs)
@settings(max_examples=200)
def test_a_deployment_name_is_a_dns_label(job: str, slug: str) -> None:
    assert LABEL.fullmatch(ids.deployment(job, slug))


@given(jobs, st.lists(slugs, min_size=2, max_size=6, unique=True))
@settings(max_examples=100)
def test_deployment_names_of_a_run_are_distinct(job: str, several: list[str]) -> None:
    assert len({ids.deployment(job, slug) for slug in several}) == len(several)


@given(st.lists(jobs, min_size=2, max_size=6, unique=True), slugs)
@settings(max_examples=100)
def test_deployment_names_of_a_nim_are_distinct(several: list[str], slug: str) -> None:
    assert len({ids.deployment(job, slug) for job in several}) == len(several)


def test_nims_that_differ_in_case_alone_or_at_the_end_are_told_apart() -> None:
    job, long = "0" * 24, "x" * 80
    assert ids.deployment(job, "Llama") != ids.deployment(job, "llama")
    assert ids.deployment(job, f"{long}1") != ids.deployment(job, f"{long}2")


def test_names_of_the_catalogue_show_which_nim_they_are_of() -> None:
    for nim in load_catalogue().values():
        assert nim.slug.replace(".", "-") in ids.deployment("0" * 24, nim.slug)
        assert ids.customization("0" * 24, nim.slug, 2).endswith(f"{nim.slug}-2")


def test_project_and_data_set_carry_the_whole_job_id() -> None:
    job = ids.job_id("dag", "run")
    assert (ids.project(job), ids.dataset(job)) == (f"run-{job}", f"fw-{job}")


def test_what_is_over_is_over() -> None:
    ends = {"completed", "failed", "cancelled"}
    assert {status.value for status in RunStatus if status.is_over} == ends
    assert {status.value for status in NimStatus if status.is_over} == ends
    assert {status.value for status in StageStatus if status.is_over} == ends | {"skipped"}
    assert not {name.value for name in StageName if "." in name.value or "$" in name.value}
