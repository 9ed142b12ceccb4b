"""Real device messages go through the gateway unchanged."""

import re

from sluicetest import case, cloudevents, corpus, mqtt, place
from sluicetest.process import run


class Corpus(case.Case):
    def _through(self, envelope, publisher=mqtt.V311, **keys):
        """Publishes the corpus over one connection; what came upstream, in order."""
        broker = self.mosquitto()
        collector = self.collector(broker)
        gateway = self.gateway()
        gateway.config["upstreams"] = [gateway.upstream(broker.port, envelope=envelope, **keys)]
        gateway.start()
        self.messages = corpus.messages()
        with mqtt.Client(gateway.port, "corpus", publisher) as client:
            client.connect()
            client.publish_all(self.messages)
        came = collector.wait(len(self.messages), 60)
        gateway.wait_forwarded()
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(len(collector.messages), len(self.messages), "once each")
        return came

    def _assert_same(self, came):
        """Same topics, payloads and retain flags, in the order they were published in."""
        for number, (sent, got) in enumerate(zip(self.messages, came)):
            self.assertEqual(got[0], sent[0], f"topic of line {number + 1}")
            self.assertTrue(got[1] == sent[1], f"payload of line {number + 1} ({sent[0]}): sent "
                            f"{sent[1][:200]!r}, got {got[1][:200]!r}")
            self.assertEqual(got[2], sent[2], f"retain flag of line {number + 1}")
        self.assertEqual(len(came), len(self.messages))

    def _assert_events(self, attributes):
        """CloudEvents attributes of consecutive events of one stream."""
        offsets = []
        for one in attributes:
            self.assertEqual(one["specversion"], "1.0")
            self.assertRegex(one["source"], r"^/gateways/test-gateway/[0-9a-f]{16}$")
            self.assertTrue(one["type"])
            match = re.fullmatch(r"events/(\d+)", one["id"])
            self.assertTrue(match, f"id {one['id']!r}")
            offsets.append(int(match[1]))
        self.assertEqual(offsets, list(range(offsets[0], offsets[0] + len(offsets))))
        self.assertEqual(len({one["source"] for one in attributes}), 1)

    def test_raw_events_arrive_byte_for_byte_once_each_and_in_order(self):
        came = self._through("raw")
        self._assert_same([(one.topic, one.payload, one.retain) for one in came])
        self.assertEqual({one.qos for one in came}, {1})
        self.assertFalse([one for one in came if one.properties], "nothing is added to raw events")

    def test_raw_events_of_a_5_0_client_arrive_the_same_on_a_3_1_1_upstream(self):
        came = self._through("raw", publisher=mqtt.V5, protocol="3.1.1")
        self._assert_same([(one.topic, one.payload, one.retain) for one in came])

    def test_binary_events_keep_the_payload_and_carry_their_attributes(self):
        came = self._through("binary", protocol="5.0")
        self._assert_same([(one.topic, one.payload, one.retain) for one in came])
        self._assert_events([one.user() for one in came])

    def test_binary_is_the_default_envelope(self):
        broker = self.mosquitto()
        collector = self.collector(broker)
        gateway = self.gateway()
        upstream = gateway.upstream(broker.port)
        del upstream["envelope"]
        gateway.config["upstreams"] = [upstream]
        gateway.start()
        with mqtt.Client(gateway.port) as client:
            client.connect()
            client.publish("tele/plug/STATE", b'{"POWER":"ON"}')
        only, = collector.wait(1)
        self.assertEqual(only.payload, b'{"POWER":"ON"}')
        self.assertEqual(only.user()["specversion"], "1.0")

    def test_binary_becomes_structured_on_a_3_1_1_upstream_and_keeps_every_byte(self):
        came = self._through("binary", protocol="3.1.1")
        events = [cloudevents.structured(one.payload) for one in came]
        self._assert_same([(one.topic, event[1], one.retain) for one, event in zip(came, events)])
        self._assert_events([event[0] for event in events])

    def test_structured_on_a_5_0_upstream_says_its_content_type(self):
        came = self._through("structured", protocol="5.0")
        events = [cloudevents.structured(one.payload) for one in came]
        self._assert_same([(one.topic, event[1], one.retain) for one, event in zip(came, events)])
        self._assert_events([event[0] for event in events])
        for one in came:
            self.assertTrue(one.properties.get("content_type", "")
                            .startswith("application/cloudevents+json"), one.properties)

    def test_messages_published_by_mosquitto_pub_arrive_byte_for_byte(self):
        publisher = place.program("mosquitto_pub", "a client that is not ours")
        broker = self.mosquitto()
        collector = self.collector(broker)
        gateway = self.gateway(upstream=broker.port).start()
        everything = corpus.messages()
        binary = [one for one in everything if b"\0" in one[1]]
        largest = sorted(everything, key=lambda one: len(one[1]))[-2:]
        empty = [one for one in everything if not one[1]][:3]
        self.messages = everything[::12] + binary[:4] + largest + empty
        file = self.folder / "payload"
        for number, (topic, payload, retain) in enumerate(self.messages):
            file.write_bytes(payload)
            version = ("311", "5")[number % 2]
            argv = [publisher, "-h", "127.0.0.1", "-p", gateway.port, "-V", version, "-q", "1",
                    "-i", f"pub{number}", "-t", topic]
            argv += ["-f", file] if payload else ["-n"]
            result = run(argv + (["-r"] if retain else []))
            self.assertEqual(result.returncode, 0, f"{topic}: {result.stderr}")
        self._assert_same([(one.topic, one.payload, one.retain)
                           for one in collector.wait(len(self.messages))])

    def test_what_a_5_0_device_says_about_its_message_goes_through(self):
        broker = self.mosquitto()
        collector = self.collector(broker)
        gateway = self.gateway(upstream=broker.port).start()
        properties = {"payload_format_indicator": 1, "content_type": "text/plain",
                      "response_topic": "answer/here", "correlation_data": b"\0\1\2",
                      "user": [("unit", "K"), ("unit", "°C"), ("", "")]}
        with mqtt.Client(gateway.port, "v5", mqtt.V5) as client:
            client.connect()
            client.publish("a/b", b"21", properties=properties)
            client.publish("a/alias", b"1", properties={"topic_alias": 3})
            client.publish("", b"2", properties={"topic_alias": 3})
        first, second, third = collector.wait(3)
        self.assertEqual(first.properties, properties)
        self.assertEqual([(one.topic, one.payload) for one in (second, third)],
                         [("a/alias", b"1"), ("a/alias", b"2")])

    def test_many_devices_at_once_keep_their_order(self):
        broker = self.mosquitto()
        check = self.check(broker.port, self.folder / "load.ledger")
        gateway = self.gateway(upstream=broker.port).start()
        load = self.load(gateway.port, devices=50, window=20, count=20000, protocol=5)
        load.finish(60)
        report = check.wait_complete(60)
        self.assertEqual(
            (report["missing"], report["duplicates"], report["out_of_order"], report["distinct"]),
            (0, 0, 0, 20000), report)


if __name__ == "__main__":
    case.main()
