#!/usr/bin/env python3
"""Writes the seed corpus of fuzz_session: conversations of packets and of the orders that
fuzz_session.c describes. Run it in this folder; the files are kept in the repository."""
import pathlib
import struct

OTHER, STORED, TAKEN, FULL, REFUSED, LARGE, ALL, LOST, GOODBYE = 0, 2, 3, 4, 5, 6, 7, 8, 9
PENDING = 1


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def packet(first, body=b""):
    assert len(body) < 128
    return bytes([first, len(body)]) + body


def props(*items):
    body = b"".join(items)
    return bytes([len(body)]) + body


def connect(level, name, will=False, *items):
    five = level == 5
    body = text("MQTT") + bytes([level, 6 if will else 2]) + b"\x00\x3c"
    body += props(*items) if five else b""
    body += text(name)
    if will:
        body += (props(b"\x26" + text("k") + text("v")) if five else b"") + text("w") + text("gone")
    return packet(0x10, body)


def publish(level, topic, number=0, *items):
    body = text(topic) + (struct.pack(">H", number) if number else b"")
    return packet(0x32 if number else 0x30, body + (props(*items) if level == 5 else b"") + b"{}")


def alias(number):
    return b"\x23" + struct.pack(">H", number)


OURS = "$SYS/x"  # refused by the session itself
DISCONNECT = packet(0xE0)
WITH_WILL = packet(0xE0, b"\x04")
SEEDS = {
    "receipts_5": [connect(5, "a"), publish(5, "t", 1), publish(5, "t", 2), publish(5, "t", 3),
                   STORED, FULL, REFUSED, publish(5, "t", 4), LARGE, publish(5, "t", 5), TAKEN,
                   DISCONNECT],
    "receipts_4": [connect(4, "a"), publish(4, "t", 1), publish(4, "t", 1), publish(4, "t"), STORED,
                   STORED, STORED, publish(4, "t", 2), FULL],
    "refusals_in_turn": [connect(5, "a"), publish(5, "t", 1), publish(5, OURS, 2),
                         publish(5, "t", 3), STORED, publish(5, OURS, 4), publish(5, OURS), STORED],
    "receive_maximum": [connect(5, "a")] + [publish(5, "t", n) for n in (1, 2, 3, 4)] + [ALL],
    "undecided": [connect(5, "a", True), publish(5, "t", 1), publish(5, OURS, 2), PENDING],
    "takeover": [connect(5, "a", True), publish(5, "t", 1), OTHER, connect(5, "a", True),
                 publish(5, "t", 1), STORED, STORED, OTHER, connect(4, "a"), ALL],
    "wills": [connect(5, "a", True), WITH_WILL, connect(4, "a", True), DISCONNECT,
              connect(5, "a", True), LOST, connect(4, "a", True), GOODBYE, ALL],
    "takes_no_connack": [connect(5, "a", True, b"\x27\x00\x00\x00\x05"), connect(5, "a"), ALL],
    "receipts_after_the_end": [connect(5, "a"), publish(5, "t", 1), publish(5, OURS, 2), DISCONNECT,
                               STORED, ALL],
    "aliases": [connect(5, "a"), publish(5, "t", 1, alias(1)), publish(5, "", 2, alias(1)),
                publish(5, "u", 0, alias(2)), ALL, publish(5, OURS, 3, alias(1)),
                publish(5, "", 4, alias(1)), publish(5, "", 5, alias(3))],
    "others": [connect(5, "a"), packet(0xC0), packet(0x62, b"\x00\x01"),
               packet(0x82, b"\x00\x02\x00" + text("t/#") + b"\x01"),
               packet(0xA2, b"\x00\x03\x00" + text("t")), packet(0x40, b"\x00\x01")],
    "lost_in_between": [connect(5, "a"), publish(5, "t", 1), publish(5, "t", 2), STORED, LOST,
                        connect(5, "a"), publish(5, "t", 1), STORED, STORED],
}

folder = pathlib.Path(__file__).parent / "corpus" / "session"
folder.mkdir(parents=True, exist_ok=True)
for name, items in SEEDS.items():
    data = b"".join(bytes([item]) if isinstance(item, int) else item for item in items)
    (folder / name).write_bytes(data)
