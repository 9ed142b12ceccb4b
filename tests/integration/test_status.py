"""What the gateway says about itself agrees with what happened to it."""

import json
import time
import urllib.request

from sluicetest import case, mqtt, place, wait
from sluicetest.gateway import EXIT_RUNTIME, EXIT_USAGE, Metrics


class Status(case.Case):
    def test_counters_agree_with_what_was_published(self):
        broker = self.mosquitto()
        gateway = self.gateway(upstream=broker.port).start()
        payloads = [b"x" * number for number in range(100)]
        with mqtt.Client(gateway.port, "counted", mqtt.V5) as client:
            client.connect()
            client.publish_all([("a/b", payload, False) for payload in payloads])
            for _ in range(7):
                client.publish("a/c", b"zero", qos=0)
            client.ping()
            gateway.wait_metric(lambda m: m.get("sluice_events_admitted_total") == 107, 10,
                                "all events to be admitted")
            gateway.wait_forwarded()
            metrics = gateway.metrics()
            expected = {
                ("sluice_events_received_total", "qos", "0"): 7,
                ("sluice_events_received_total", "qos", "1"): 100,
                ("sluice_events_acknowledged_total", "listener", "lan"): 100,
                ("sluice_stream_appended_events_total", "stream", "events"): 107,
                ("sluice_upstream_forwarded_events_total", "upstream", "cloud"): 107,
                ("sluice_upstream_forwarded_payload_bytes_total", "upstream", "cloud"):
                    sum(map(len, payloads)) + 28,
                ("sluice_range_lag_events", "upstream", "cloud"): 0,
                ("sluice_listener_connections", "listener", "lan"): 1,
                ("sluice_upstream_connected", "upstream", "cloud"): 1,
                ("sluice_upstream_in_flight_messages", "upstream", "cloud"): 0,
            }
            for (name, label, value), count in expected.items():
                self.assertEqual(metrics.get(name, **{label: value}), count, name)
            self.assertEqual(metrics.get("sluice_events_dropped_total"), 0)
            self.assertEqual(metrics.get("sluice_store_degraded"), 0)
            self.assertEqual(metrics.get("sluice_ingest_in_flight_bytes"), 0)
            self.assertGreater(metrics.get("sluice_store_commits_total"), 0)
            self.assertGreater(metrics.get("sluice_store_bytes", file="database") +
                               metrics.get("sluice_store_bytes", file="wal"), 4096)
        gateway.wait_metric(lambda m: m.get("sluice_listener_connections") == 0, 5, "the end")
        self.assertEqual(gateway.metric("sluice_listener_connections_closed_total",
                                        reason="client"), 1)

    def test_status_and_metrics_tell_the_same(self):
        broker = self.mosquitto()
        gateway = self.gateway(upstream=broker.port).start()
        with mqtt.Client(gateway.port) as client:
            client.connect()
            client.publish("a", b"1")
        gateway.wait_forwarded()
        status, metrics = gateway.status(), gateway.metrics()
        self.assertEqual((status["gateway"], status["state"], status["trouble"]),
                         ("test-gateway", "running", None))
        self.assertRegex(status["epoch"], "^[0-9a-f]{16}$")
        self.assertEqual(status["listeners"]["lan"]["acknowledged"], 1)
        self.assertEqual(status["streams"]["events"]["next_offset"],
                         metrics.get("sluice_stream_next_offset", stream="events"))
        self.assertEqual(status["upstreams"]["cloud"]["streams"]["events"]["lag_events"], 0)
        self.assertEqual(status["config"]["file"], str(gateway.config_path))

    def test_lag_is_told_by_age_while_the_upstream_is_away(self):
        def lag():
            return gateway.status()["upstreams"]["cloud"]["streams"]["events"]["lag_seconds"]

        broker = self.mosquitto()
        gateway = self.gateway(upstream=broker.port).start()
        with mqtt.Client(gateway.port) as client:
            client.connect()
            client.publish("a", b"1")
            gateway.wait_forwarded()
            wait.until(lambda: lag() == 0, 5, "the lag to close")
            broker.stop()
            gateway.wait_metric(lambda m: m.get("sluice_upstream_connected") == 0, 10, "the outage")
            before = time.time()
            client.publish("a", b"2")
            wait.until(lambda: lag() > 0, 5, "the event to lag")
            first, asked = lag(), time.time()
            self.assertLessEqual(first, asked - before + 1)
            client.publish("a", b"3")
            wait.until(lambda: lag() > first + 0.5, 5, "the lag to grow")
            self.assertGreaterEqual(lag(), asked - before - 1)
            oldest = gateway.metric("sluice_range_oldest_unsent_timestamp_seconds",
                                    upstream="cloud", stream="events")
            self.assertTrue(before - 1 <= oldest <= asked, oldest)
            broker.start()
            gateway.wait_forwarded()
            wait.until(lambda: lag() == 0, 5, "the lag to close again")
            self.assertEqual(gateway.metric("sluice_range_oldest_unsent_timestamp_seconds",
                                            upstream="cloud", stream="events"), 0)

    def test_metrics_are_well_formed(self):
        gateway = self.gateway().start()
        text = gateway.get("/metrics")[1]
        metrics = Metrics(text)
        typed = {line.split()[2]: line.split()[3] for line in text.splitlines()
                 if line.startswith("# TYPE ")}
        helped = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP ")}
        names = {name for name, _ in metrics.samples}
        self.assertEqual(names - set(typed), set(), "samples without a type")
        self.assertEqual(names - helped, set(), "samples without a help text")
        for name, kind in typed.items():
            self.assertEqual(name.endswith("_total"), kind == "counter", name)

    def test_health_is_served_on_the_unix_socket_and_on_tcp_where_configured(self):
        gateway = self.gateway()
        port = place.free_port()
        gateway.config["admin"]["tcp"] = f"127.0.0.1:{port}"
        gateway.start()
        self.assertEqual(gateway.get("/healthz")[0], 200)
        self.assertEqual(gateway.get("/readyz")[0], 200)
        self.assertEqual(gateway.get("/no/such/thing")[0], 404)
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/status"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                self.assertEqual(answer.status, 200, path)

    def test_sluice_status_asks_the_daemon_and_fails_without_one(self):
        gateway = self.gateway().start()
        result = gateway.command("status", "-c", gateway.config_path)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("test-gateway", result.stdout)
        self.assertIn("events", result.stdout)
        result = gateway.command("status", "-c", gateway.config_path, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["gateway"], "test-gateway")
        self.assertEqual(gateway.stop(), 0)
        result = gateway.command("status", "-c", gateway.config_path)
        self.assertEqual(result.returncode, EXIT_RUNTIME, result.stdout)
        self.assertIn(str(gateway.socket_path), result.stderr)

    def test_usage_errors_exit_with_2_and_check_says_yes_with_0(self):
        gateway = self.gateway()
        self.assertEqual(gateway.check().returncode, 0)
        for arguments in ((), ("no-such-command",), ("run", "--no-such-option"),
                          ("run", "-c"), ("status", "too", "many")):
            result = gateway.command(*arguments)
            self.assertEqual(result.returncode, EXIT_USAGE, f"{arguments}: {result.stderr}")
            self.assertTrue(result.stderr, arguments)
        for arguments in (("--help",), ("--version",), ("run", "--help")):
            result = gateway.command(*arguments)
            self.assertEqual(result.returncode, 0, f"{arguments}: {result.stderr}")
            self.assertTrue(result.stdout, arguments)

    def test_a_suggestion_is_made_for_a_mistyped_command(self):
        result = self.gateway().command("statsu")
        self.assertEqual(result.returncode, EXIT_USAGE)
        self.assertIn("status", result.stderr)


if __name__ == "__main__":
    case.main()
