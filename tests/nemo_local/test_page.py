"""The page at `/`: what is deployed and what runs now, told as a stand-in's."""

import html
import re
from html.parser import HTMLParser

import travel_desk
from flywheel_client import MODEL, customization_body, deployment_body, evaluation_config

from include.nemo_local.services.local import DETAIL


class Tables(HTMLParser):
    """The rows of each table by the heading before it, and all text."""

    def __init__(self):
        super().__init__()
        self.rows, self.text, self._heading, self._row, self._in = {}, "", "", None, None

    def handle_starttag(self, tag, attrs):
        self._in = tag
        if tag == "h2":
            self._heading = ""
        elif tag == "tr":
            self._row = []
        elif tag in ("td", "th") and self._row is not None:
            self._row.append("")

    def handle_endtag(self, tag):
        if tag == "tr":
            self.rows.setdefault(self._heading, []).append(self._row)
            self._row = None

    def handle_data(self, data):
        self.text += data
        if self._row:
            self._row[-1] += data
        elif self._in == "h2":
            self._heading += data


def page(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    parsed = Tables()
    parsed.feed(answer.text)
    return answer.text, parsed


def test_an_idle_server_says_what_it_is(start):
    with start(gpus=3) as client:
        source, parsed = page(client)
    assert DETAIL in parsed.text
    assert "simulated latencies" in parsed.text
    assert "0 of 3 in use" in parsed.text
    assert list(parsed.rows) == ["Models that can be asked"]
    assert parsed.text.count("None.") == 3
    assert '<meta http-equiv="refresh"' in source
    assert not re.search(r'(src|href)="(?!/)|<script|@import|url\(', source), (
        "something is loaded from elsewhere"
    )


def test_deployments_and_jobs_are_shown_as_they_are(start):
    with start(gpus=2) as client:
        rows = [travel_desk.training_row(turn) for turn in travel_desk.turns(40, seed=1)]
        client.upload("page", {"training/train.jsonl": travel_desk.jsonl(rows)})
        client.deploy("one")
        done = client.customize("page", output="flywheel/page")
        path = "/v1/deployment/model-deployments"
        client.ok("POST", path, json=deployment_body("big", "meta/llama-3.1-70b-instruct", gpu=4))
        client.deploy("two")
        waiting = client.ok("POST", "/v1/customization/jobs", json=customization_body("page", output="a/b"))
        failed = client.evaluate(evaluation_config("absent"), MODEL)
        _, parsed = page(client)
    assert "2 of 2 in use" in parsed.text
    (_, *deployments) = parsed.rows["Deployments"]
    assert [row[:4] for row in deployments] == [
        ["ready", "flywheel/one", MODEL, "1"],
        ["pending", "flywheel/big", "meta/llama-3.1-70b-instruct", "4"],
        ["ready", "flywheel/two", MODEL, "1"],
    ]
    assert "NotEnoughResources: 4 GPU(s) asked for" in deployments[1][4]
    (_, *jobs) = parsed.rows["Customization jobs"]
    assert [row[:2] for row in jobs] == [["pending", waiting["id"]], ["completed", done["id"]]]
    assert "NotEnoughResources: 1 GPU(s)" in jobs[0][-1]
    assert jobs[1][3] == "3 of 3"
    (_, *evaluations) = parsed.rows["Evaluation jobs"]
    assert [row[:3] for row in evaluations] == [["failed", failed["id"], MODEL]]
    assert "flywheel/absent" in evaluations[0][-1]
    assert [MODEL] in parsed.rows["Models that can be asked"]


def test_what_users_named_is_shown_as_text(start):
    with start(gpus=1) as client:
        body = deployment_body("plain", "x/<b>bold</b>&amp;")
        client.ok("POST", "/v1/deployment/model-deployments", json=body)
        source, parsed = page(client)
    assert "<b>" not in source
    assert html.escape("x/<b>bold</b>&amp;") in source
    assert "x/<b>bold</b>&amp;" in parsed.text
