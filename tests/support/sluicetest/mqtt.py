"""A small MQTT client for tests, 3.1.1 and 5.0: readable rather than fast, and it also sends what
no client should. Not derived from the daemon's codec, so that mistakes do not cancel out."""

import socket
import struct
import time

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)
NAMES = ("?", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
         "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH")

V311, V5 = 4, 5

# Properties of MQTT 5.0 by name: (identifier, kind)
PROPERTIES = {
    "payload_format_indicator": (0x01, "byte"), "message_expiry_interval": (0x02, "u32"),
    "content_type": (0x03, "text"), "response_topic": (0x08, "text"),
    "correlation_data": (0x09, "binary"), "subscription_identifier": (0x0b, "varint"),
    "session_expiry_interval": (0x11, "u32"), "assigned_client_identifier": (0x12, "text"),
    "server_keep_alive": (0x13, "u16"), "authentication_method": (0x15, "text"),
    "authentication_data": (0x16, "binary"), "request_problem_information": (0x17, "byte"),
    "will_delay_interval": (0x18, "u32"), "request_response_information": (0x19, "byte"),
    "response_information": (0x1a, "text"), "server_reference": (0x1c, "text"),
    "reason_string": (0x1f, "text"), "receive_maximum": (0x21, "u16"),
    "topic_alias_maximum": (0x22, "u16"), "topic_alias": (0x23, "u16"),
    "maximum_qos": (0x24, "byte"), "retain_available": (0x25, "byte"), "user": (0x26, "pair"),
    "maximum_packet_size": (0x27, "u32"), "wildcard_subscription_available": (0x28, "byte"),
    "subscription_identifier_available": (0x29, "byte"),
    "shared_subscription_available": (0x2a, "byte"),
}
_BY_ID = {number: (name, kind) for name, (number, kind) in PROPERTIES.items()}


class ConnectionClosed(Exception):
    """The other side closed the connection."""


def varint(value):
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def binary(data):
    return struct.pack(">H", len(data)) + data


def text(value):
    return binary(value if isinstance(value, bytes) else value.encode())


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def _encode_value(kind, value):
    if kind == "varint":
        return varint(value)
    if kind == "text":
        return text(value)
    if kind == "binary":
        return binary(value)
    if kind == "pair":
        return text(value[0]) + text(value[1])
    return struct.pack({"byte": ">B", "u16": ">H", "u32": ">I"}[kind], value)


def encode_properties(properties):
    """properties: a dict (values of "user" are lists of pairs) or a list of (name, value)."""
    items = []
    for name, value in properties.items() if isinstance(properties, dict) else properties or ():
        many = name == "user" and isinstance(value, list)
        items += [(name, one) for one in value] if many else [(name, value)]
    body = b"".join(bytes([PROPERTIES[name][0]]) + _encode_value(PROPERTIES[name][1], value)
                    for name, value in items)
    return varint(len(body)) + body


class Reader:
    """Takes values from the front of a packet's body."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise AssertionError(f"packet is cut: {self.data!r}")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def binary(self):
        return self.take(self.number(2))

    def text(self):
        return self.binary().decode()

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                return value

    def rest(self):
        return self.take(len(self.data) - self.at)

    def _value(self, kind):
        if kind == "pair":
            return self.text(), self.text()
        if kind in ("byte", "u16", "u32"):
            return self.number({"byte": 1, "u16": 2, "u32": 4}[kind])
        return getattr(self, kind)()

    def properties(self):
        """A dict; "user" is a list of pairs."""
        end = self.varint() + self.at
        found = {}
        while self.at < end:
            name, kind = _BY_ID[self.number(1)]
            value = self._value(kind)
            if name == "user":
                found.setdefault(name, []).append(value)
            else:
                found[name] = value
        return found


class Packet:
    """A received packet: kind, flags, raw body, and what it says."""

    def __init__(self, kind, flags, body, version):
        self.kind, self.flags, self.body = kind, flags, body
        self.reason, self.properties, self.id = 0, {}, None
        reader = Reader(body)
        if kind == CONNACK:
            self.session_present = bool(reader.number(1) & 1)
            self.reason = reader.number(1)
            if version == V5:
                self.properties = reader.properties()
        elif kind == PUBLISH:
            self.dup, self.qos = bool(flags & 8), flags >> 1 & 3
            self.retain = bool(flags & 1)
            self.topic = reader.text()
            self.id = reader.number(2) if self.qos else None
            if version == V5:
                self.properties = reader.properties()
            self.payload = reader.rest()
        elif kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            self.id = reader.number(2)
            if version == V5 and len(body) > 2:
                self.reason = reader.number(1)
                if len(body) > 3:
                    self.properties = reader.properties()
        elif kind in (SUBACK, UNSUBACK):
            self.id = reader.number(2)
            if version == V5:
                self.properties = reader.properties()
            self.reasons = list(reader.rest())
        elif kind == DISCONNECT and version == V5 and body:
            self.reason = reader.number(1)
            if len(body) > 1:
                self.properties = reader.properties()

    def user(self):
        """User properties as a dict."""
        return dict(self.properties.get("user", ()))

    def __repr__(self):
        return f"<{NAMES[self.kind]} flags={self.flags:x} body={self.body[:80]!r}>"


class Client:
    """One connection. Every reading call has a deadline and raises AssertionError beyond it."""

    def __init__(self, port, client_id="test", version=V311, host="127.0.0.1", timeout=10):
        self.port, self.host, self.client_id, self.version = port, host, client_id, version
        self.timeout = timeout
        self.socket = None
        self.input = bytearray()
        self.next_id = 0

    # connection

    def open(self):
        """Only the TCP connection."""
        self.socket = socket.create_connection((self.host, self.port), self.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input.clear()
        return self

    def connect_packet(self, clean=True, keep_alive=60, properties=None, username=None,
                       password=None, will=None):
        flags = 2 if clean else 0
        body = b""
        if will:
            flags |= 4
            body += (encode_properties(None) if self.version == V5 else b"")
            body += text(will[0]) + binary(will[1])
        if username is not None:
            flags |= 0x80
            body += text(username)
        if password is not None:
            flags |= 0x40
            body += binary(password.encode())
        head = text("MQTT") + bytes([self.version, flags]) + struct.pack(">H", keep_alive)
        if self.version == V5:
            head += encode_properties(properties)
        return packet(CONNECT, 0, head + text(self.client_id) + body)

    def connect(self, expect=0, **options):
        """TCP connection and CONNECT; returns the CONNACK, whose code must be expect."""
        self.open()
        self.raw(self.connect_packet(**options))
        answer = self.read(CONNACK)
        assert answer.reason == expect, f"CONNACK says {answer.reason:#x}, not {expect:#x}"
        return answer

    def close(self):
        """Cuts the connection without a DISCONNECT."""
        if self.socket:
            self.socket.close()
            self.socket = None

    def disconnect(self):
        if self.socket:
            try:
                self.raw(packet(DISCONNECT, 0, b""))
            except OSError:
                pass
            self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.disconnect()

    # bytes

    def raw(self, data):
        self.socket.settimeout(self.timeout)
        self.socket.sendall(data)

    def _buffered(self):
        """The next complete packet of the input, or None."""
        length = shift = 0
        for at in range(1, 5):
            if at >= len(self.input):
                return None
            length |= (self.input[at] & 127) << shift
            shift += 7
            if not self.input[at] & 128:
                break
        end = at + 1 + length
        if len(self.input) < end:
            return None
        first, body = self.input[0], bytes(self.input[at + 1:end])
        del self.input[:end]
        return Packet(first >> 4, first & 15, body, self.version)

    def poll(self, seconds):
        """The next packet, or None if there is none within seconds."""
        deadline = time.monotonic() + seconds
        while True:
            found = self._buffered()
            if found:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 18)
            except socket.timeout:
                return None
            except ConnectionResetError as error:
                raise ConnectionClosed from error
            if not data:
                raise ConnectionClosed
            self.input += data

    def read(self, kind=None, timeout=None):
        """The next packet; AssertionError if it is of another kind or does not come."""
        found = self.poll(self.timeout if timeout is None else timeout)
        assert found, f"no packet within {timeout or self.timeout} s"
        assert kind is None or found.kind == kind, f"expected {NAMES[kind]}, got {found!r}"
        return found

    def wait_closed(self, timeout=None):
        """Reads until the other side closes; returns the packets that came before."""
        packets = []
        deadline = time.monotonic() + (timeout or self.timeout)
        try:
            while time.monotonic() < deadline:
                found = self.poll(deadline - time.monotonic())
                if found:
                    packets.append(found)
        except (ConnectionClosed, ConnectionError):
            return packets
        raise AssertionError(f"the connection was not closed; got {packets}")

    # messages

    def packet_id(self):
        self.next_id = self.next_id % 65535 + 1
        return self.next_id

    def publish_packet(self, topic, payload, qos=1, retain=False, properties=None, dup=False,
                       packet_id=None):
        body = text(topic)
        if qos:
            packet_id = packet_id or self.packet_id()
            body += struct.pack(">H", packet_id)
        if self.version == V5:
            body += encode_properties(properties)
        flags = (8 if dup else 0) | qos << 1 | (1 if retain else 0)
        return packet(PUBLISH, flags, body + payload), packet_id

    def send_publish(self, topic, payload, **options):
        """Sends a PUBLISH without waiting; returns its packet id."""
        data, packet_id = self.publish_packet(topic, payload, **options)
        self.raw(data)
        return packet_id

    def publish(self, topic, payload, qos=1, timeout=None, **options):
        """Publishes and waits for the PUBACK, which is returned (None at QoS 0)."""
        packet_id = self.send_publish(topic, payload, qos=qos, **options)
        if not qos:
            return None
        answer = self.read(PUBACK, timeout)
        assert answer.id == packet_id, f"PUBACK for {answer.id}, not {packet_id}"
        return answer

    def publish_all(self, messages, window=50):
        """Publishes (topic, payload, retain) at QoS 1 with several in flight; every PUBACK must
        come, in order, and say success."""
        waiting = []

        def take():
            answer = self.read(PUBACK)
            assert answer.id == waiting[0] and answer.reason < 0x80, \
                f"{answer!r}, while {waiting[0]} was due"
            del waiting[0]

        for topic, payload, retain in messages:
            if len(waiting) >= window:
                take()
            waiting.append(self.send_publish(topic, payload, retain=retain))
        while waiting:
            take()

    def subscribe(self, *filters, qos=1, retain_as_published=True):
        """Subscribes; returns the SUBACK."""
        options = qos | (8 if self.version == V5 and retain_as_published else 0)
        body = struct.pack(">H", self.packet_id())
        if self.version == V5:
            body += encode_properties(None)
        body += b"".join(text(one) + bytes([options]) for one in filters)
        self.raw(packet(SUBSCRIBE, 2, body))
        return self.read(SUBACK)

    def acknowledge(self, message):
        self.raw(packet(PUBACK, 0, struct.pack(">H", message.id)))

    def ping(self):
        self.raw(packet(PINGREQ, 0, b""))
        return self.read(PINGRESP)
