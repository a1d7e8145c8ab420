"""Holds resources against the Prometheus operator's own types: what does not come back as it was is named, and fails."""

import json
import sys

from cloudcoil.models.prometheus_operator import v1, v1alpha1

VERSIONS = {"v1": v1, "v1alpha1": v1alpha1}


def lost(written, read, path):
    """Paths of what is in `written` and not, or not the same, in `read`."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key in read:
                yield from lost(value, read[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is unknown to the operator"
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for at, (one, other) in enumerate(zip(written, read)):
            yield from lost(one, other, f"{path}[{at}]")
    elif written != read:
        yield f"{path} is {written!r}, which the operator reads as {read!r}"


def main():
    problems = []
    for version, kind, written in json.load(sys.stdin):
        try:
            read = getattr(VERSIONS[version], kind).model_validate(written)
        except ValueError as error:
            problems.append(f"{kind}: {error}")
            continue
        problems.extend(lost(written, read.model_dump(mode="json", by_alias=True, exclude_unset=True), kind))
    print("\n".join(problems))
    sys.exit(bool(problems))


main()
