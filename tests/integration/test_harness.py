"""The harness against a broker that is known to work: a test that cannot fail proves nothing."""

import socket
import time

from sluicetest import case, cloudevents, corpus, mqtt
from sluicetest.brokers import Nats
from sluicetest.gateway import Metrics
from sluicetest.notify import NotifySocket


class Harness(case.Case):
    def test_what_is_acknowledged_through_a_broker_is_found_complete(self):
        broker = self.mosquitto()
        ledger = self.folder / "load.ledger"
        check = self.check(broker.port, ledger)
        load = self.load(broker.port, devices=20, window=20, count=20000)
        self.assertEqual(load.finish(60)["acknowledged"], 20000)
        report = check.wait_complete(30)
        self.assertEqual(
            (report["missing"], report["duplicates"], report["out_of_order"], report["unknown"]),
            (0, 0, 0, 0), report)
        self.assertEqual(report["distinct"], 20000)

    def test_a_loss_behind_the_acknowledgement_is_reported(self):
        broker = self.mosquitto()
        load = self.load(broker.port, devices=3, window=10, count=3000)
        load.finish(60)
        # Nobody was subscribed: the broker has acknowledged and forgotten these.
        check = self.check(broker.port, load.ledger)
        report = check.wait_complete(1)
        self.assertEqual((report["missing"], report["acknowledged"]), (3000, 3000), report)
        self.assertEqual(report["first_missing"], [0, 0])

    def test_duplicates_and_disorder_are_reported(self):
        broker = self.mosquitto()
        load = self.load(broker.port, devices=1, count=10)
        load.finish(30)
        check = self.check(broker.port, load.ledger)
        with mqtt.Client(broker.port) as client:
            client.connect()
            for sequence in (0, 1, 3, 2, 3, 4, 4):
                client.publish("load/0/telemetry", b'{"load":"0/%d"}' % sequence)
            client.publish("load/0/telemetry", b"something else")
        report = check.wait_complete(1)
        self.assertEqual(
            (report["distinct"], report["duplicates"], report["out_of_order"], report["unknown"]),
            (5, 2, 1, 1), report)
        self.assertEqual(report["first_missing"], [0, 5])

    def test_a_fleet_comes_back_after_the_broker_died_and_sends_again(self):
        broker = self.mosquitto()
        load = self.load(broker.port, devices=10, rate=2000, seconds=3, reconnect=True, drain=20)
        for _ in range(2):
            time.sleep(0.7)
            broker.kill()
            broker.start()
        summary = load.finish(40)
        self.assertEqual(summary["acknowledged"], summary["made"])
        self.assertGreaterEqual(summary["lost_connections"], 20)
        self.assertGreater(summary["made"], 4000)

    def test_a_broker_with_persistence_hides_its_own_restart_from_the_far_end(self):
        broker = self.mosquitto(persistence=True)
        check = self.check(broker.port, self.folder / "load.ledger")
        load = self.load(broker.port, devices=10, window=10, rate=3000, seconds=3, reconnect=True)
        for _ in range(3):
            time.sleep(0.6)
            broker.stop()
            broker.start()
        load.finish(40)
        report = check.wait_complete(20)
        self.say(str(report))
        self.assertEqual((report["missing"], report["out_of_order"]), (0, 0), report)
        self.assertLessEqual(report["duplicates"], 3 * 10 * 10, report)
        self.assertEqual(report["connects"], 4)

    def test_nats_takes_and_delivers_3_1_1(self):
        broker = self.broker(Nats)
        collector = self.collector(broker, filters=["peer/#"], version=mqtt.V311)
        sent = [(f"peer/{number % 3}/x", b"%d" % number, False) for number in range(200)]
        with mqtt.Client(broker.port) as client:
            client.connect()
            client.publish_all(sent)
        self.assertEqual([(one.topic, one.payload, False) for one in collector.wait(200)], sent)

    def test_systemd_notifications_are_received(self):
        notify = NotifySocket(self.folder)
        self.addCleanup(notify.close)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1\nSTATUS=x\n", notify.path)
        notify.wait("READY=1")
        self.assertEqual(notify.read(), ["READY=1", "STATUS=x"])

    def test_metrics_are_parsed_and_a_sample_given_twice_is_an_error(self):
        metrics = Metrics('# HELP a b\n# TYPE a counter\na{x="1",y="}\\""} 2\na{x="2"} 3\nb 4\n')
        self.assertEqual((metrics.get("a"), metrics.get("a", x="2"), metrics.get("b")), (5, 3, 4))
        for bad in ("a 1\na 1\n", "a\n"):
            with self.assertRaises(AssertionError):
                Metrics(bad)

    def test_a_rate_is_kept(self):
        broker = self.mosquitto()
        summary = self.load(broker.port, devices=20, rate=3000, seconds=2).finish(30)
        self.assertAlmostEqual(summary["made"], 6000, delta=300)

    def test_both_protocol_versions_publish_and_collect(self):
        broker = self.mosquitto()
        collector = self.collector(broker)
        self.load(broker.port, devices=2, count=100, protocol=5).finish(30)
        with mqtt.Client(broker.port, "v5", mqtt.V5) as client:
            client.connect()
            client.publish("a/b", b"\0\xff", retain=True,
                           properties={"content_type": "x/y", "user": [("k", "v"), ("k", "w")]})
        last = collector.wait(101)[-1]
        self.assertEqual((last.topic, last.payload, last.retain), ("a/b", b"\0\xff", True))
        self.assertEqual(last.properties, {"content_type": "x/y", "user": [("k", "v"), ("k", "w")]})

    def test_the_corpus_goes_through_a_broker_byte_for_byte_and_in_order(self):
        broker = self.mosquitto()
        collector = self.collector(broker)
        messages = corpus.messages()
        with mqtt.Client(broker.port) as client:
            client.connect()
            client.publish_all(messages)
        came = [(one.topic, one.payload, one.retain) for one in collector.wait(len(messages))]
        self.assertEqual(came, messages)

    def test_data_of_structured_events_is_read_byte_for_byte(self):
        for payload, data in (
                (b'{"specversion":"1.0","data":{"a" : 1e2,"b":["}"]},"id":"1"}',
                 b'{"a" : 1e2,"b":["}"]}'),
                (b'{"data": 12.50, "id": "1"}', b"12.50"),
                (b'{"id":"1","data":true}', b"true"),
                (b'{"datacontenttype":"text/plain","data":"\\u00e9\\n"}', "é\n".encode()),
                (b'{"datacontenttype":"application/json","data":"x"}', b'"x"'),
                (b'{"data_base64":"AP8="}', b"\0\xff"), (b'{"id":"1"}', b""),
                (b'{"data":' + b"[" * 100000 + b"]" * 100000 + b"}",
                 b"[" * 100000 + b"]" * 100000)):
            self.assertEqual(cloudevents.structured(payload)[1], data)
        with self.assertRaises(AssertionError):
            cloudevents.structured(b'{"data":1,"data":2}')


if __name__ == "__main__":
    case.main()
