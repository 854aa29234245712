"""What a DAG's page says about itself."""

from __future__ import annotations

from collections.abc import Iterator

from include.flywheel.config.workload import Workload

_TURN = """
### One turn of the wheel

1. **prepare** checks the conf and reaches NeMo; **build_datasets** reads the log store, validates, removes
   duplicates and splits by whole conversations; **upload_datasets** puts four files into the Data Store.
2. For each NIM, side by side: **customize** (LoRA) and, once that has its GPUs, **deploy** wait until GPUs
   are free, then begin; it is evaluated as it is (**base_eval**), with examples in the prompt (**icl_eval**)
   and customized (**customized_eval**); **scores** keeps the score of every item; **undeploy** takes
   everything down, whatever happened.
   Of an embedding job (`job_type`) the candidates are embedding models, trained whole on triplets and
   evaluated as retrievers: **icl_eval** does not apply, and what was customized is deployed in place of its
   NIM, once **base_eval** is over.
3. **reference_eval** asks the production model again, where it can be asked. **deploy_judge** deploys the
   NIM that grades answers, where one is configured; runs share it.
4. **decide** compares on the same items and gives each candidate PROMOTABLE, REJECTED or INCONCLUSIVE;
   **record_winners** writes it down; **notify_application** tells the application; **close_run** makes sure
   that nothing is left running.

A run without a winner is a success that says so. Nothing is promoted by itself.

### Starting a run

*Trigger* above shows a form. The same by REST, `POST /api/v2/dags/{dag_id}/dagRuns`:

```json
{{"logical_date": null, "conf": {{{conf}"config_name": "laptop",
  "data_split_config": {{"eval_size": 100}}}}}}
```

### When something fails

| Failed task | What it means | What to do |
|---|---|---|
| prepare | nothing was created | its log names the field, the value and the remedy |
| build_datasets | nothing was created | its log says how many records are missing, or where it looked |
| customize, deploy | no GPUs until the deadline | `python -m include.cli.runs leases` says who holds them |
| one NIM's stage | the others go on, the run decides | its log has NeMo's reason; retry that NIM, see below |
| deploy_judge | answers are not graded; all else goes on | `judge.error` of the run says why; retry it |
| decide | no NIM could be evaluated | its log lists each NIM's reason |
| undeploy, close_run | **GPUs may still be held** | its log names what is left; remove it by hand |

To stop a run, mark it **failed**: its remote jobs are cancelled and its NIMs undeployed.

To try again what failed, `python -m include.cli.runs retry RUN [--nim NAME]`: what was done is used again. In
the UI, clear a NIM's `customize` and `deploy` with everything downstream; a failed evaluation that is cleared
alone is refused, because its NIM was taken down and holds no GPUs.
"""


def describe(workload: Workload | None) -> str:
    """Markdown for the DAG's page."""
    if workload is None:
        conf = '"client_id": "acme-shop", "workload_id": "order_desk", '
        title = "Turns the wheel for the client and workload that the conf names."
        return f"## Flywheel on demand\n\n{title}\n" + _TURN.format(conf=conf, dag_id="flywheel_on_demand")
    conf = f'"client_id": "{workload.client_id}", "workload_id": "{workload.workload_id}", '
    bar = workload.bar.production_model
    lines = [
        f"## {workload.client_id} / {workload.workload_id}",
        "",
        workload.description,
        "",
        *_described(workload),
        "",
        f"Owner: **{workload.owner}**. Profile: `{workload.profile}`. "
        f"Compared with: {f'`{bar}`, asked again' if bar else _threshold(workload)}.",
    ]
    return "\n".join(lines) + "\n" + _TURN.format(conf=conf, dag_id=workload.dag_id)


def _described(workload: Workload) -> Iterator[str]:
    if workload.user_intent:
        yield f"What its users want: {workload.user_intent}"
        yield ""
    if workload.sensitivity is not None:
        yield f"Its records are **{workload.sensitivity.value}**."
    if workload.reviewers:
        yield f"Reviewers: {', '.join(workload.reviewers)}."


def _threshold(workload: Workload) -> str:
    quality = workload.non_negotiable.min_quality
    return "nothing yet: set `bar` or `non_negotiable`" if quality is None else f"the threshold {quality:.0%}"
