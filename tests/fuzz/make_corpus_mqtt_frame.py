#!/usr/bin/env python3
"""Writes the seed corpus of fuzz_mqtt_frame: valid packets of every type, both levels, one file
each, and one stream of several. Run it in this folder; the files are kept in the repository."""
import pathlib
import struct


def varint(n):
    out = b""
    while True:
        n, low = n >> 7, n & 0x7F
        out += bytes([low | (0x80 if n else 0)])
        if not n:
            return out


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack(">H", len(s)) + s


def packet(first, body=b""):
    return bytes([first]) + varint(len(body)) + body


def props(*parts):
    body = b"".join(parts)
    return varint(len(body)) + body


def user(name, value):
    return b"\x26" + text(name) + text(value)


REASON = b"\x1f" + text("because")
MESSAGE = props(b"\x01\x01", b"\x02\x00\x00\x00\x3c", b"\x03" + text("text/plain"),
                b"\x08" + text("answer/to"), b"\x09" + text(b"\x00\x01"), user("a", "1"),
                user("a", "2"))
AUTH = b"\x15" + text("SCRAM-SHA-256") + b"\x16" + text(b"\xff\x00")
CONNECT5 = props(b"\x11\x00\x00\x0e\x10", b"\x21\x00\x14", b"\x27\x00\x01\x00\x00", b"\x22\x00\x0a",
                 b"\x19\x01", b"\x17\x00", user("k", "v"), AUTH)
WILL5 = props(b"\x18\x00\x00\x00\x05", b"\x01\x01", b"\x02\x00\x00\x00\x3c", b"\x03" + text("t"),
              b"\x08" + text("r"), b"\x09" + text("c"), user("w", "x"))
CONNACK5 = props(b"\x11\x00\x00\x00\x01", b"\x21\x00\x0a", b"\x24\x01", b"\x25\x01",
    b"\x27\x00\x01\x00\x00",
                 b"\x12" + text("made-up"), b"\x22\x00\x0a", REASON, user("a", "b"), b"\x28\x01",
                 b"\x29\x00",
                 b"\x2a\x01", b"\x13\x00\x3c", b"\x1a" + text("info"), b"\x1c" +
                 text("other:1883"), AUTH)

SEEDS = {
    "connect_3_1": packet(0x10, text("MQIsdp") + b"\x03\x02\x00\x3c" + text("old")),
    "connect_4": packet(0x10, text("MQTT") + b"\x04\x02\x00\x3c" + text("device-1")),
    "connect_4_full": packet(0x10, text("MQTT") + b"\x04\xee\x00\x3c" + text("device-1") +
        text("will/t")
                             + text("gone") + text("user") + text("secret")),
    "connect_5": packet(0x10, text("MQTT") + b"\x05\x02\x00\x3c\x00" + text("")),
    "connect_5_full": packet(0x10, text("MQTT") + b"\x05\xee\x00\x3c" + CONNECT5 +
        text("device-1") + WILL5
                             + text("will/t") + text("gone") + text("user") + text("secret")),
    "connack_4": packet(0x20, b"\x01\x00"),
    "connack_4_refused": packet(0x20, b"\x00\x05"),
    "connack_5": packet(0x20, b"\x00\x00\x00"),
    "connack_5_full": packet(0x20, b"\x01\x00" + CONNACK5),
    "publish_4_qos0": packet(0x31, text("site/sensor/1") + b'{"t":21.5}'),
    "publish_4_qos1": packet(0x32, text("site/sensor/1") + b"\x00\x07" + b'{"t":21.5}'),
    "publish_4_qos2_dup": packet(0x3C, text("s") + b"\xff\xff"),
    "publish_5": packet(0x32, text("site/sensor/1") + b"\x00\x07\x00" + b'{"t":21.5}'),
    "publish_5_full": packet(0x34, text("site/\u00fc") + b"\x00\x07" + MESSAGE + b"hello"),
    "publish_5_alias": packet(0x30, text("") + props(b"\x23\x00\x01") + b"hello"),
    "publish_5_to_subscriber": packet(0x30, text("a") + props(b"\x0b\x01", b"\x0b\x80\x01",
        user("a", "b")) + b"x"),
    "puback": packet(0x40, b"\x00\x01"),
    "puback_5_reason": packet(0x40, b"\x00\x01\x10"),
    "puback_5_full": packet(0x40, b"\x00\x01\x97" + props(REASON, user("a", "b"))),
    "pubrec_5": packet(0x50, b"\x00\x01\x80\x00"),
    "pubrel": packet(0x62, b"\x00\x01"),
    "pubrel_5": packet(0x62, b"\x00\x01\x92" + props(REASON)),
    "pubcomp": packet(0x70, b"\x00\x01"),
    "subscribe_4": packet(0x82, b"\x00\x02" + text("a/+/b") + b"\x01" + text("#") + b"\x00"),
    "subscribe_5": packet(0x82, b"\x00\x02" + props(b"\x0b\x05", user("a", "b")) + text("a/#") +
        b"\x2d"
                          + text("$share/group/x/+") + b"\x02"),
    "suback_4": packet(0x90, b"\x00\x02\x01\x80"),
    "suback_5": packet(0x90, b"\x00\x02" + props(REASON) + b"\x00\x01\x02\x87"),
    "unsubscribe_4": packet(0xA2, b"\x00\x03" + text("a/+/b") + text("#")),
    "unsubscribe_5": packet(0xA2, b"\x00\x03" + props(user("a", "b")) + text("$share/group/x/+")),
    "unsuback_4": packet(0xB0, b"\x00\x03"),
    "unsuback_5": packet(0xB0, b"\x00\x03" + props(REASON) + b"\x00\x11"),
    "pingreq": packet(0xC0),
    "pingresp": packet(0xD0),
    "disconnect": packet(0xE0),
    "disconnect_5_client": packet(0xE0, b"\x04" + props(b"\x11\x00\x00\x00\x0a", REASON, user("a",
        "b"))),
    "disconnect_5_server": packet(0xE0, b"\x9c" + props(b"\x1c" + text("other:1883"))),
    "auth": packet(0xF0),
    "auth_5": packet(0xF0, b"\x18" + props(AUTH, REASON)),
}
SEEDS["stream_4"] = b"".join(SEEDS[n] for n in ("connect_4", "publish_4_qos1", "pingreq",
    "disconnect"))
SEEDS["stream_5"] = b"".join(SEEDS[n] for n in ("connect_5_full", "subscribe_5", "publish_5_full",
    "pubrel_5"))

folder = pathlib.Path(__file__).parent / "corpus" / "mqtt_frame"
folder.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (folder / name).write_bytes(data)
