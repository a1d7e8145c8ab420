"""Holds resources against the Prometheus operator's own types: what does not come back as it was is named, and fails."""

import json
import sys

from cloudcoil.models.prometheus_operator import v1, v1alpha1
from lost import lost

VERSIONS = {"v1": v1, "v1alpha1": v1alpha1}


def main():
    problems = []
    for version, kind, written in json.load(sys.stdin):
        try:
            read = getattr(VERSIONS[version], kind).model_validate(written)
        except ValueError as error:
            problems.append(f"{kind}: {error}")
            continue
        read = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
        problems.extend(lost(written, read, kind, "the operator"))
    print("\n".join(problems))
    sys.exit(bool(problems))


main()
