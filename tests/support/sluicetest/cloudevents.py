"""Reading CloudEvents 1.0 as a consumer does, keeping the bytes of the data."""

import base64
import json


def _skip_value(text, at):
    """Position behind the JSON value at text[at]; works for any depth."""
    depth, in_string = 0, False
    start = at
    while at < len(text):
        c = text[at]
        if in_string:
            if c == "\\":
                at += 1
            elif c == '"':
                in_string = False
                if depth == 0:
                    return at + 1
        elif c == '"':
            in_string = True
        elif c in "{[":
            depth += 1
        elif c in "}]":
            if depth == 0:
                return at  # the end of what surrounds a number or word
            depth -= 1
            if depth == 0:
                return at + 1
        elif c == "," and depth == 0 and at > start:
            return at
        at += 1
    return at


def members(text):
    """The members of a JSON object with their values as raw text."""
    text = text.strip()
    assert text.startswith("{") and text.endswith("}"), f"not an object: {text[:80]!r}"
    at, found = 1, {}
    while True:
        while text[at] in " \t\r\n,":
            at += 1
        if text[at] == "}":
            assert at == len(text) - 1, "bytes behind the object"
            return found
        end = _skip_value(text, at)
        name = json.loads(text[at:end])
        at = text.index(":", end) + 1
        while text[at] in " \t\r\n":
            at += 1
        end = _skip_value(text, at)
        assert name not in found, f"member {name!r} twice"
        found[name] = text[at:end].rstrip()
        at = end


def structured(payload):
    """(attributes, data bytes) of a structured event: data as it was before it was put in."""
    found = members(payload.decode("utf-8"))
    data, data_base64 = found.pop("data", None), found.pop("data_base64", None)
    assert data is None or data_base64 is None, "both data and data_base64"
    attributes = {name: json.loads(value) for name, value in found.items()}
    if data_base64 is not None:
        return attributes, base64.b64decode(json.loads(data_base64), validate=True)
    if data is None:
        return attributes, b""
    kind = attributes.get("datacontenttype", "application/json").partition(";")[0].strip()
    if data.startswith('"') and kind != "application/json" and not kind.endswith("+json"):
        return attributes, json.loads(data).encode("utf-8")
    return attributes, data.encode("utf-8")
