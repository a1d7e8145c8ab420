"""Holds dashboards against Grafana's own types: what does not come back as it was is named, and fails."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from lost import lost


def main():
    register_default_plugins()
    problems = []
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as file:
            written = json.load(file)
        read = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
        problems.extend(lost(written, read, written.get("uid", name), "Grafana"))
    print("\n".join(problems))
    sys.exit(bool(problems))


main()
