"""The shared corpus of real device messages."""

import base64
import json

from . import place


def messages():
    """All lines as (topic, payload bytes, retain), in order."""
    found = []
    with open(place.shared("devices", "corpus.ndjson"), encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            payload = (base64.b64decode(one["payload_b64"]) if "payload_b64" in one
                       else one["payload"].encode("utf-8"))
            found.append((one["topic"], payload, bool(one.get("retain"))))
    assert len(found) >= 400, "the corpus is incomplete"
    return found
