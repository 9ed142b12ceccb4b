"""Events for the benchmarks of the store: messages of real devices, where the shared corpus is
there (SLUICE_SHARED, default ../shared), else made up ones like them."""

import base64
import json
import os
import random
import re
import struct
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PAYLOAD_MAX_BYTES = 16384  # three constructed edge cases above it would be 85 % of all bytes
_NUMBER = re.compile(rb"(?<![A-Za-z0-9_.\-])-?\d+(?:\.\d+)?")


def corpus():
    """(topic, payload) of the shared corpus; [] if it is not there."""
    path = TOP / os.environ.get("SLUICE_SHARED", "../shared") / "devices" / "corpus.ndjson"
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        payload = (base64.b64decode(one["payload_b64"]) if "payload_b64" in one
                   else one["payload"].encode())
        if len(payload) <= PAYLOAD_MAX_BYTES:
            found.append((one["topic"].encode(), payload))
    return found


def made_up(dice):
    device = dice.randrange(500)
    return (b"plant/line%d/sensor-%04d/telemetry" % (device % 4, device),
            b'{"device":"sensor-%04d","seq":%d,"temperature":%d.%02d,"humidity":%d,"battery":%d,'
            b'"rssi":-%d,"uptime":%d,"status":"ok","location":"hall %d row %d"}'
            % (device, dice.randrange(10**5), 15 + dice.randrange(12), dice.randrange(100),
               30 + dice.randrange(40), 2800 + dice.randrange(900), 40 + dice.randrange(50),
               dice.randrange(10**8), dice.randrange(9), dice.randrange(23)))


def _vary(payload, dice):
    """Other values in the same message: the last half of the digits of each number. What repeats
    in a fleet repeats, and compression does not get the same message twice."""
    def other(match):
        text = match.group(0)
        digits = [i for i, c in enumerate(text) if 48 <= c <= 57]
        if len(digits) < 2:
            return text
        out = bytearray(text)
        for i in digits[(len(digits) + 1) // 2:]:
            out[i] = 48 + dice.randrange(10)
        return bytes(out)
    return _NUMBER.sub(other, payload)


def write(path, count, seed=1, verbatim=False, sizes=(0, PAYLOAD_MAX_BYTES)):
    """Writes count events in the format of input.h, of the corpus those with a payload of such
    sizes; says what they are."""
    dice = random.Random(seed)
    messages = [one for one in corpus() if sizes[0] <= len(one[1]) <= sizes[1]]
    payload_bytes = 0
    with open(path, "wb") as file:
        for number in range(count):
            if not messages:
                topic, payload = made_up(dice)
            elif verbatim:
                topic, payload = messages[number % len(messages)]
            else:
                topic, payload = messages[dice.randrange(len(messages))]
                payload = _vary(payload, dice)
            payload_bytes += len(payload)
            file.write(struct.pack("=II", len(topic), len(payload)) + topic + payload)
    kind = ("made up: the shared corpus is not there" if not messages else
            "device corpus" + (", verbatim, in order" if verbatim else
                               ", drawn at random, numbers varied"))
    return f"{count} events ({kind}), {payload_bytes / count:.0f} payload bytes on average"
