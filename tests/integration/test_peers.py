"""Brokers that are not ours take what the gateway sends."""

from sluicetest import case, cloudevents, mqtt
from sluicetest.brokers import Mosquitto, Nats

EVENTS = 1000


class Peers(case.Case):
    def _forward(self, kind, collector_version, **keys):
        broker = self.broker(kind)
        collector = self.collector(broker, filters=["peer/#"], version=collector_version)
        gateway = self.gateway()
        gateway.config["upstreams"] = [gateway.upstream(broker.port, **keys)]
        gateway.start()
        sent = [(f"peer/{number % 10}/telemetry", b'{"n":%d}' % number, False)
                for number in range(EVENTS)]
        with mqtt.Client(gateway.port) as client:
            client.connect()
            client.publish_all(sent)
        gateway.wait_forwarded(60)
        came = collector.wait(EVENTS, 60)
        self.assertEqual(gateway.metric("sluice_upstream_forwarded_events_total"), EVENTS)
        self.assertEqual(gateway.stop(), 0)
        return [(topic, payload) for topic, payload, _ in sent], came

    def test_mosquitto_5_0_takes_1000_binary_events(self):
        sent, came = self._forward(Mosquitto, mqtt.V5, envelope="binary", protocol="5.0")
        self.assertEqual([(one.topic, one.payload) for one in came], sent)
        self.assertEqual(len({one.user()["id"] for one in came}), EVENTS)

    def test_mosquitto_3_1_1_takes_1000_structured_events(self):
        sent, came = self._forward(Mosquitto, mqtt.V311, envelope="structured", protocol="3.1.1")
        self.assertEqual([(one.topic, cloudevents.structured(one.payload)[1]) for one in came],
                         sent)

    def test_nats_jetstream_takes_1000_raw_events(self):
        sent, came = self._forward(Nats, mqtt.V311, envelope="raw", protocol="3.1.1")
        self.assertEqual([(one.topic, one.payload) for one in came], sent)

    def test_nats_is_found_to_speak_3_1_1_and_gets_structured_events(self):
        sent, came = self._forward(Nats, mqtt.V311, envelope="binary")
        self.assertEqual([(one.topic, cloudevents.structured(one.payload)[1]) for one in came],
                         sent)


if __name__ == "__main__":
    case.main()
