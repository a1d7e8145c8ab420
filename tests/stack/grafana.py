"""Holds dashboards against Grafana's own types: what does not come back as it was is named, and fails."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(written, read, path):
    """Paths of what is in `written` and not, or not the same, in `read`."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key in read:
                yield from lost(value, read[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is unknown to Grafana"
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for at, (one, other) in enumerate(zip(written, read)):
            yield from lost(one, other, f"{path}[{at}]")
    elif written != read:
        yield f"{path} is {written!r}, which Grafana reads as {read!r}"


def main():
    register_default_plugins()
    problems = []
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as file:
            written = json.load(file)
        read = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
        problems.extend(lost(written, read, written.get("uid", name)))
    print("\n".join(problems))
    sys.exit(bool(problems))


main()
