"""What a reader lost or changed of what was written."""


def lost(written, read, path, reader):
    """Paths of what is in `written` and not, or not the same, in `read`; `reader` is who read it."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key in read:
                yield from lost(value, read[key], f"{path}.{key}", reader)
            else:
                yield f"{path}.{key} is unknown to {reader}"
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for at, (one, other) in enumerate(zip(written, read)):
            yield from lost(one, other, f"{path}[{at}]", reader)
    elif written != read:
        yield f"{path} is {written!r}, which {reader} reads as {read!r}"
