"""The page at ``/``: GPUs, deployments and jobs as they are now, for a person with a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from include.nemo_local import clock
from include.nemo_local.gpus import GpuPool
from include.nemo_local.served import ServedModels
from include.nemo_local.services.customizer import Customizer
from include.nemo_local.services.deployment import Deployments
from include.nemo_local.services.evaluator import Evaluator
from include.nemo_local.services.local import DETAIL

_REFRESH_SECONDS = 3
_NEWEST = 15
_KINDS = {"#": ' class="number"', "!": ' class="name"'}
_GOING = ("created", "pending", "running", "cancelling")
_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1.2rem; max-width: 74rem;
  color: #1b1f24; background: #fff }
h1 { font-size: 1.35rem; margin: 0 } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem }
.note { background: #fff4d6; border-left: 4px solid #b57500; padding: .5rem .8rem; margin: .8rem 0 }
.quiet { color: #57606a } .wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; min-width: 60rem }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #d8dee4;
  vertical-align: top; overflow-wrap: anywhere }
th { color: #57606a; font-weight: 600 } th, td.name { white-space: nowrap }
td.number, th.number { text-align: right }
.state { white-space: nowrap; font-weight: 600 } .state::before { content: "\\25CF  " }
.ready, .completed { color: #1a7f37 } .running { color: #0b5cad } .failed { color: #b3261e }
.pending, .created, .cancelling { color: #8a5a00 } .cancelled { color: #57606a }
meter { width: 12rem; height: 1rem; vertical-align: middle }
@media (prefers-color-scheme: dark) { body { color: #e6e8eb; background: #15181c }
  th, .quiet, .cancelled { color: #a3abb5 } th, td { border-color: #333a42 } .note { background: #3a2f12 }
  .ready, .completed { color: #58c776 } .running { color: #6fb1ff } .failed { color: #ff8a80 }
  .pending, .created, .cancelling { color: #e3b341 } }
"""


def router(
    gpus: GpuPool,
    deployments: Deployments,
    customizer: Customizer,
    evaluator: Evaluator,
    served: ServedModels,
) -> APIRouter:
    """``GET /``: needs no script and no other file; it loads itself again every few seconds."""
    routes = APIRouter()

    @routes.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        parts = (
            _gpus(gpus),
            _section("Deployments", _DEPLOYMENT, _deployments(deployments)),
            _section("Customization jobs", _CUSTOMIZATION, _newest(customizer.listed(), _customization)),
            _section("Evaluation jobs", _EVALUATION, _newest(evaluator.listed(), _evaluation)),
            _section("Models that can be asked", ("model",), ([escape(name)] for name in served.names())),
        )
        return _document("".join(parts))

    return routes


_DEPLOYMENT = ("state", "!deployment", "!model", "#GPUs", "message")
_CUSTOMIZATION = ("state", "!job", "output model", "#epochs", "#train loss", "#validation loss", "message")
_EVALUATION = ("state", "!job", "!model", "#items", "project", "message")


def _deployments(deployments: Deployments) -> list[list[str]]:
    gpus = {row["name"]: row["gpus"] for row in deployments.held_gpus()}
    rows = []
    for body in deployments.listed():
        details, name = body["status_details"], f"{body['namespace']}/{body['name']}"
        shown = (name, ", ".join(body["models"]), gpus.get(name), details["description"])
        rows.append([_state(details["status"]), *map(_text, shown)])
    return rows


def _customization(body: Mapping[str, Any]) -> list[str]:
    details = body["status_details"]
    epochs = f"{details['epochs_completed']} of {body['hyperparameters'].get('epochs', '-')}"
    last = details["status_logs"][-1] if details["status_logs"] else {}
    model = (body["output_model"] or "").removesuffix(f"@{body['id']}")
    shown = (body["id"], model, epochs, details["train_loss"], details["val_loss"])
    return [_state(body["status"]), *map(_text, (*shown, last.get("detail") or last.get("message")))]


def _evaluation(body: Mapping[str, Any]) -> list[str]:
    details = body["status_details"]
    project, message = body.get("project"), details.get("message")
    shown = (body["id"], _asked(body["target"]), details.get("samples_processed"), project, message)
    return [_state(body["status"]), *map(_text, shown)]


def _asked(target: Any) -> Any:
    """The model that an evaluation asks; the kind of its target where it names none."""
    if not isinstance(target, Mapping):
        return target
    model = target.get("model")
    if isinstance(model, Mapping):
        model = (model.get("api_endpoint") or {}).get("model_id")
    return model or target.get("type")


def _newest(bodies: list[dict[str, Any]], row: Callable[[dict[str, Any]], list[str]]) -> list[list[str]]:
    """Rows of what goes on, then of the newest that ended, the newest first in each."""
    going = [body for body in bodies if body["status"] in _GOING]
    ended = [body for body in bodies if body["status"] not in _GOING]
    return [row(body) for body in [*going[::-1][:_NEWEST], *ended[::-1][:_NEWEST]]]


def _gpus(gpus: GpuPool) -> str:
    used, total = gpus.used(), gpus.total
    meter = f'<meter min="0" max="{max(total, 1)}" value="{used}">{used} of {total}</meter>'
    return f"<h2>GPUs (simulated)</h2><p>{meter} {used} of {total} in use</p>"


def _section(title: str, columns: tuple[str, ...], rows: Iterable[list[str]]) -> str:
    """A table; columns marked # hold numbers, those marked ! names that are not to be broken."""
    kinds = [_KINDS.get(name[0], "") for name in columns]
    lines = [
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    ]
    heading = f"<h2>{escape(title)}</h2>"
    if not lines:
        return heading + '<p class="quiet">None.</p>'
    head = "".join(
        f"<th{kind}>{escape(name.lstrip('#!'))}</th>" for kind, name in zip(kinds, columns, strict=True)
    )
    return f'{heading}<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _state(word: str) -> str:
    return f'<span class="state {escape(word)}">{escape(word)}</span>'


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return escape(f"{value:.4f}" if isinstance(value, float) else str(value))


def _document(content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>nemo_local</title><style>{_STYLE}</style></head><body>"
        f'<h1>nemo_local</h1><p class="note">This is the {escape(DETAIL)}.</p>{content}'
        f'<p class="quiet">As of {clock.stamp_seconds()}; loads again every {_REFRESH_SECONDS} s. '
        'The same for programs: <a href="/_local/state">/_local/state</a>, '
        '<a href="/health">/health</a>; the calls: <a href="/openapi.json">/openapi.json</a>.</p>'
        "</body></html>"
    )
