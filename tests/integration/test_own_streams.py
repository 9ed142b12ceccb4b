"""What the gateway writes itself: gap records, dead letters, the audit trail. All of it arrives
upstream like any event."""

import json
import os
import sqlite3

from sluicetest import case, mqtt, wait

DROPPING = {"max_bytes": "256KiB", "when_full": "drop_oldest"}


class OwnStreams(case.Case):
    def _gateway(self, broker, streams, **config):
        gateway = self.gateway(config={"streams": streams, **config})
        gateway.config["upstreams"] = [gateway.upstream(
            broker.port, streams=["events", "$gateway", "$dlq", "$audit"], envelope="binary")]
        return gateway

    @staticmethod
    def _ended(messages, suffix):
        return [m for m in messages if m.topic == f"sluice/test-gateway/{suffix}"]

    def test_what_was_dropped_and_what_arrives_is_what_was_published(self):
        broker = self.mosquitto(start=False)
        gateway = self._gateway(broker, {"events": DROPPING}).start()
        with mqtt.Client(gateway.port, "device", mqtt.V5) as client:
            client.connect()
            client.publish_all([("a/b", b"%06d" % n + os.urandom(1500), False)
                                for n in range(1000)])
        self.assertEqual(gateway.metric("sluice_events_acknowledged_total"), 1000)
        dropped = gateway.metric("sluice_stream_dropped_events_total", stream="events")
        self.assertGreater(dropped, 500)
        self.assertEqual(gateway.metric("sluice_range_lag_events", stream="events"),
                         1000 - dropped)
        broker.start()
        collector = self.collector(broker)
        gateway.wait_forwarded(stream="events")
        gateway.wait_forwarded(stream="$gateway")
        messages = collector.wait(1000 - int(dropped))
        numbers = [int(m.payload[:6]) for m in messages if m.topic == "a/b"]
        self.assertEqual(numbers, list(range(int(dropped), 1000)))
        gaps = [json.loads(m.payload) for m in self._ended(messages, "gap")]
        self.assertTrue(all(g["reason"] == "drop_oldest" and g["stream"] == "events" and
                            g["upstream"] == "cloud" for g in gaps), gaps)
        self.assertEqual(gaps[0]["from"], 0)
        for before, after in zip(gaps, gaps[1:]):
            self.assertEqual(before["to"], after["from"])
        self.assertEqual(sum(g["count"] for g in gaps), dropped)
        gap = self._ended(messages, "gap")[0].user()
        self.assertEqual(gap["type"], "sluice.gap")
        self.assertRegex(gap["id"], r"^\$gateway/\d+$")

    def test_events_lost_with_qos_0_are_told_upstream(self):
        broker = self.mosquitto(start=False)
        gateway = self._gateway(broker, {"events": {"max_bytes": "64KiB", "when_full": "block"}})
        gateway.start()
        with mqtt.Client(gateway.port, "device", mqtt.V5) as client:
            client.connect()
            for n in range(300):
                client.publish("a/b", b"%06d" % n + os.urandom(1500), qos=0)
            client.ping()
        gateway.wait_metric(lambda m: m.get("sluice_events_dropped_total", reason="qos0_full") +
                            m.get("sluice_stream_next_offset", stream="events") == 300, 20,
                            "every event to be stored or dropped")
        broker.start()
        collector = self.collector(broker)
        wait.until(lambda: self._ended(collector.messages, "gap"), 30, "a gap record")
        gateway.wait_forwarded(stream="events")
        arrived = [m for m in collector.messages if m.topic == "a/b"]
        gaps = [json.loads(m.payload) for m in self._ended(collector.messages, "gap")]
        self.assertEqual(sum(g["count"] for g in gaps) + len(arrived), 300)
        self.assertTrue(all(g["from"] is None and g["reason"] == "qos0_full" for g in gaps))

    def test_an_event_that_the_upstream_will_not_have_becomes_a_dead_letter(self):
        acl = self.folder / "acl"
        acl.write_text("topic readwrite ok/#\ntopic readwrite sluice/#\n", encoding="utf-8")
        broker = self.mosquitto(extra=("user root", f"acl_file {acl}"))
        collector = self.collector(broker, filters=("#",))
        gateway = self._gateway(broker, {}).start()
        with mqtt.Client(gateway.port, "device", mqtt.V5) as client:
            client.connect()
            client.publish("ok/1", b"first")
            client.publish("forbidden/1", b"\x00whole payload",
                           properties={"user": [("unit", "C")]})
            client.publish("ok/2", b"second")
        wait.until(lambda: self._ended(collector.messages, "dlq"), 60, "the dead letter")
        gateway.wait_forwarded(stream="events")
        letter = self._ended(collector.messages, "dlq")[0]
        user = letter.user()
        self.assertEqual(letter.payload, b"\x00whole payload")
        self.assertEqual((user["originid"], user["origintopic"], user["deadupstream"]),
                         ("events/1", "forbidden/1", "cloud"))
        self.assertEqual(user["unit"], "C")
        self.assertIn("refused", user["deadreason"])
        topics = [m.topic for m in collector.messages]
        self.assertEqual([t for t in topics if t.startswith("ok")], ["ok/1", "ok/2"])
        self.assertEqual(gateway.metric("sluice_dead_letters_total"), 1)

    def test_the_audit_trail_holds_and_shows_who_touched_it(self):
        gateway = self.gateway().start()
        gateway.reload()
        gateway.wait_metric(lambda m: m.get("sluice_config_reloads_total", result="ok") == 1, 20,
                            "the reload")
        gateway.config["log"] = {"lewel": "info"}
        gateway.write_config()
        gateway.reload()
        gateway.wait_metric(lambda m: m.get("sluice_config_reloads_total", result="refused") == 1,
                            20, "the refusal")
        del gateway.config["log"]
        gateway.write_config()
        self.assertEqual(gateway.stop(), 0)
        result = gateway.command("audit", "-c", gateway.config_path)
        records = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([(r["actor"], r["action"], r["result"]) for r in records],
                         [("system", "start", "ok"), ("signal", "reload", "ok"),
                          ("signal", "reload", "refused"), ("system", "stop", "ok")])
        self.assertIn("lewel", records[2]["detail"])
        with sqlite3.connect(gateway.data_dir / "sluice.db") as database:
            database.execute("DELETE FROM batch WHERE key = (SELECT key FROM batch JOIN stream ON "
                             "stream.id = key >> 48 WHERE name = '$audit' ORDER BY key "
                             "LIMIT 1 OFFSET 1)")
        database.close()
        result = gateway.command("audit", "-q", "-c", gateway.config_path)
        self.assertEqual(result.returncode, 1)
        self.assertIn("does not name the record before it", result.stderr)
        self.assertEqual(result.stdout, "")


if __name__ == "__main__":
    case.main()
