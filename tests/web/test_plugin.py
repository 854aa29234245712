"""The plugin is loaded in every task process: it costs nothing there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_MS = 20.0
# What a task has loaded anyway, then what the web side adds to it.
PROBE = """
import json, sys, time
import airflow.plugins_manager, include.pipeline.factory, include.pipeline.listener
sys.path.insert(0, "plugins")
before, took = set(sys.modules), []
for _ in range(5):
    began = time.perf_counter()
    import flywheel_plugin
    took.append((time.perf_counter() - began) * 1000)
    added = sorted(set(sys.modules) - before)
    for name in added:
        del sys.modules[name]
print(json.dumps({"ms": min(took), "added": added}))
"""


def test_the_plugin_loads_no_application_and_takes_no_time() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], cwd=ROOT, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["added"] == ["flywheel_plugin", "include.web", "include.web.dispatch"]
    assert said["ms"] < MOST_MS
