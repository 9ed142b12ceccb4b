"""The gateway is asked to end: it acknowledges what it stored and says goodbye."""

import time

from sluicetest import case, mqtt, wait
from sluicetest.notify import NotifySocket

SERVER_SHUTTING_DOWN = 0x8b
DEADLINE = 10


class Shutdown(case.Case):
    def test_sigterm_under_load_loses_nothing_and_a_restart_continues(self):
        broker = self.mosquitto(persistence=True)
        check = self.check(broker.port, self.folder / "load.ledger")
        gateway = self.gateway(upstream=broker.port).start()
        load = self.load(gateway.port, devices=20, rate=5000, seconds=1000, reconnect=True,
                         protocol=5)
        for _ in range(3):
            gateway.wait_metric(lambda m: m.get("sluice_events_acknowledged_total") > 3000, 30,
                                "a stream to interrupt")
            began = time.monotonic()
            self.assertEqual(gateway.stop(DEADLINE), 0)
            self.say(f"ended in {time.monotonic() - began:.2f} s")
            gateway.start()
        gateway.wait_metric(lambda m: m.get("sluice_events_acknowledged_total") > 1000, 30,
                            "the fleet to be back")
        summary = load.stop()
        self.assertEqual(summary["last_reason"], SERVER_SHUTTING_DOWN)
        self.assertGreaterEqual(summary["lost_connections"], 60)
        gateway.wait_forwarded(60)
        report = check.wait_complete(60)
        self.say(f"{report['acknowledged']} events, {report['duplicates']} duplicates")
        self.assertEqual((report["missing"], report["out_of_order"], report["unknown"]), (0, 0, 0),
                         report)
        self.assertEqual(gateway.stop(DEADLINE), 0)

    def test_clients_are_told_that_the_server_shuts_down(self):
        gateway = self.gateway().start()
        new, old = mqtt.Client(gateway.port, "new", mqtt.V5), mqtt.Client(gateway.port, "old")
        self.addCleanup(new.close)
        self.addCleanup(old.close)
        for client in (new, old):
            client.connect()
            client.publish("a", b"1")
        self.assertEqual(gateway.stop(DEADLINE), 0)
        goodbye = new.wait_closed()
        self.assertEqual([(one.kind, one.reason) for one in goodbye],
                         [(mqtt.DISCONNECT, SERVER_SHUTTING_DOWN)])
        # A 3.1.1 server has no DISCONNECT to send [MQTT-3.14].
        self.assertEqual(old.wait_closed(), [])

    def test_what_was_sent_before_sigterm_is_acknowledged_before_the_goodbye(self):
        gateway = self.gateway(config={"commit": {"max_delay": "300ms"}}).start()
        client = mqtt.Client(gateway.port, "late", mqtt.V5)
        self.addCleanup(client.close)
        client.connect()
        sent = [client.send_publish("a", b"%d" % number) for number in range(5)]
        gateway.wait_metric(lambda m: m.get("sluice_events_received_total") == 5, 5,
                            "the events to be received")
        self.assertEqual(gateway.stop(DEADLINE), 0)
        answers = client.wait_closed()
        self.assertEqual([one.id for one in answers if one.kind == mqtt.PUBACK], sent)
        self.assertEqual(answers[-1].kind, mqtt.DISCONNECT)
        gateway.start()
        self.assertEqual(gateway.status()["streams"]["events"]["next_offset"] -
                         gateway.status()["streams"]["events"]["first_offset"], 5)

    def test_offsets_and_identity_continue_after_a_restart(self):
        broker = self.mosquitto()
        collector = self.collector(broker)
        gateway = self.gateway()
        gateway.config["upstreams"] = [gateway.upstream(broker.port, envelope="binary")]
        for number in range(3):
            gateway.start()
            with mqtt.Client(gateway.port) as client:
                client.connect()
                client.publish("a", b"%d" % number)
            collector.wait(number + 1)
            gateway.wait_forwarded()
            self.assertEqual(gateway.stop(DEADLINE), 0)
        users = [one.user() for one in collector.wait(3)]
        offsets = [int(one["id"].partition("/")[2]) for one in users]
        self.assertEqual(offsets, [offsets[0], offsets[0] + 1, offsets[0] + 2])
        self.assertEqual(len({one["source"] for one in users}), 1, "the epoch must not change")

    def test_an_upstream_that_does_not_answer_does_not_hold_up_the_end(self):
        broker = self.mosquitto()
        gateway = self.gateway(upstream=broker.port).start()
        gateway.wait_metric(lambda m: m.get("sluice_upstream_connected") == 1, 20, "the upstream")
        broker.process.send_signal(19)  # SIGSTOP
        try:
            with mqtt.Client(gateway.port) as client:
                client.connect()
                client.publish("a", b"1")
            self.assertEqual(gateway.stop(DEADLINE), 0)
        finally:
            broker.process.send_signal(18)  # SIGCONT

    def test_sigint_ends_it_like_sigterm(self):
        gateway = self.gateway().start()
        self.assertEqual(gateway.process.stop(DEADLINE, number=2), 0)

    def test_systemd_is_told_ready_watchdog_and_stopping(self):
        notify = NotifySocket(self.folder)
        self.addCleanup(notify.close)
        gateway = self.gateway()
        gateway.env = {"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "400000"}
        gateway.start()
        notify.wait("READY=1")
        notify.wait("WATCHDOG=1", times=3)
        self.assertNotIn("STOPPING=1", notify.read())
        gateway.reload()
        wait.until(lambda: any(one.startswith("RELOADING=") for one in notify.read()) and
                   notify.read().count("READY=1") == 2 or
                   gateway.metric("sluice_config_reloads_total", result="ok") == 1, 10, "a reload")
        self.assertEqual(gateway.stop(DEADLINE), 0)
        notify.wait("STOPPING=1")
        self.assertEqual(notify.read().count("STOPPING=1"), 1)


if __name__ == "__main__":
    case.main()
