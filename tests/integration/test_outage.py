"""The upstream goes away and comes back."""

import os

from sluicetest import case, mqtt, place, wait

RATE = 5000
BEFORE, DURING, AFTER = 10000, 100000, 10000
RSS_GROWTH_MAX = 1.1


class Outage(case.Case):
    def _acknowledged(self, gateway):
        return gateway.metric("sluice_events_acknowledged_total")

    def _assert_complete(self, report, duplicates_max):
        self.assertEqual((report["missing"], report["out_of_order"], report["unknown"]), (0, 0, 0),
                         report)
        self.assertLessEqual(report["duplicates"], duplicates_max, report)

    def test_an_outage_of_100000_events_loses_and_disorders_nothing_in_bounded_memory(self):
        broker = self.mosquitto(persistence=True)
        check = self.check(broker.port, self.folder / "load.ledger")
        gateway = self.gateway(upstream=broker.port, binary=place.release_bin()).start()
        load = self.load(gateway.port, devices=50, rate=RATE, count=BEFORE + DURING + AFTER)
        wait.until(lambda: self._acknowledged(gateway) >= BEFORE, 60, "the first events",
                   alive=gateway.process)
        window = gateway.metric("sluice_upstream_window_messages")
        rss_before = gateway.process.rss_bytes()
        broker.stop()
        rss_highest = rss_before
        gone_at = self._acknowledged(gateway)

        def published():
            nonlocal rss_highest
            rss_highest = max(rss_highest, gateway.process.rss_bytes())
            return self._acknowledged(gateway) >= gone_at + DURING

        wait.until(published, 3 * DURING / RATE, "100,000 events acknowledged without an upstream",
                   every=0.2, alive=gateway.process)
        # Events are on their way to both sides at once: the counts may differ by what is in flight.
        gateway.wait_metric(lambda m: m.get("sluice_range_lag_events") >= DURING - window, 5,
                            "the backlog to be seen")
        broker.start()
        summary = load.finish(60)
        gateway.wait_forwarded(120)
        report = check.wait_complete(60)
        rss_after = gateway.process.rss_bytes()
        rss_highest = max(rss_highest, rss_after)
        self.say(f"RSS {rss_before >> 10} KiB after the first {BEFORE} events, "
                 f"{rss_after >> 10} KiB at the end ({rss_after / rss_before:.3f}x), highest "
                 f"{rss_highest >> 10} KiB; {report['duplicates']} duplicates (window {window:g}), "
                 f"{report['redelivered']} repeated by the broker itself; PUBACK p50 "
                 f"{summary['p50_us']} us, p99 {summary['p99_us']} us, "
                 f"max {summary['max_us']} us")
        self.assertEqual(summary["acknowledged"], BEFORE + DURING + AFTER)
        self._assert_complete(report, window)
        self.assertEqual(report["distinct"], BEFORE + DURING + AFTER)
        # What a drain took is given back every few seconds.
        wait.until(lambda: gateway.process.rss_bytes() <= RSS_GROWTH_MAX * rss_before, 30,
                   lambda: f"memory to be given back: {gateway.process.rss_bytes() >> 10} KiB",
                   alive=gateway.process)
        self.assertEqual(gateway.stop(), 0)

    def test_five_short_outages_in_a_stream_lose_and_disorder_nothing(self):
        broker = self.mosquitto(persistence=True)
        check = self.check(broker.port, self.folder / "load.ledger")
        gateway = self.gateway(upstream=broker.port).start()
        load = self.load(gateway.port, devices=20, rate=2000, count=20000)
        for number in range(1, 6):
            wait.until(lambda at=number: self._acknowledged(gateway) >= at * 3000, 60,
                       "more events", alive=gateway.process)
            gateway.wait_metric(lambda m: m.get("sluice_upstream_connected") == 1, 20,
                                "the upstream to be back")
            broker.stop()
            wait.until(lambda at=number: self._acknowledged(gateway) >= at * 3000 + 1000, 60,
                       "events without an upstream", alive=gateway.process)
            broker.start()
        load.finish(60)
        gateway.wait_forwarded(60)
        window = gateway.metric("sluice_upstream_window_messages")
        report = check.wait_complete(60)
        self.say(f"{report['duplicates']} duplicates in five outages")
        self._assert_complete(report, 5 * window)
        self.assertGreaterEqual(gateway.metric("sluice_upstream_disconnects_total"), 5)

    def test_a_restart_of_the_gateway_in_an_outage_keeps_the_backlog(self):
        broker = self.mosquitto(persistence=True)
        check = self.check(broker.port, self.folder / "load.ledger")
        gateway = self.gateway(upstream=broker.port).start()
        self.load(gateway.port, devices=10, window=20, count=5000).finish(60)
        gateway.wait_forwarded()
        broker.stop()
        self.load(gateway.port, devices=10, window=20, count=5000, continue_=True).finish(60)
        self.assertEqual(gateway.stop(), 0)
        gateway.start()
        gateway.wait_metric(lambda m: m.get("sluice_range_lag_events") == 5000, 5,
                            "the backlog to be seen")
        self.load(gateway.port, devices=10, window=20, count=5000, continue_=True).finish(60)
        broker.start()
        gateway.wait_forwarded(60)
        report = check.wait_complete(60)
        self._assert_complete(report, 0)
        self.assertEqual(report["distinct"], 15000)

    def test_a_full_stream_holds_its_devices_until_the_upstream_is_back(self):
        broker = self.mosquitto(persistence=True)
        check = self.check(broker.port, self.folder / "load.ledger")
        gateway = self.gateway(upstream=broker.port,
                               config={"streams": {"events": {"max_bytes": "1MiB"}}}).start()
        gateway.wait_metric(lambda m: m.get("sluice_upstream_connected") == 1, 20, "the upstream")
        broker.stop()
        load = self.load(gateway.port, devices=10, window=50, count=30000, drain=100)
        gateway.wait_metric(lambda m: m.get("sluice_stream_full", stream="events") == 1, 60,
                            "the stream to be full")
        held = wait.settled(lambda: self._acknowledged(gateway), 1, 20, "acknowledgements to end")
        with mqtt.Client(gateway.port, "held") as client:
            client.connect()
            client.send_publish("load/held", b"held")
            self.assertIsNone(client.poll(1), "acknowledged by a full stream")
            self.assertEqual(self._acknowledged(gateway), held)
            broker.start()
            client.read(mqtt.PUBACK, 30)
        load.finish(100)
        gateway.wait_forwarded(60)
        report = check.wait_complete(60)
        self.say(f"full at {held:g} events; {report['duplicates']} duplicates")
        self.assertEqual((report["missing"], report["out_of_order"]), (0, 0), report)
        self.assertEqual(report["distinct"], 30000)
        self.assertLessEqual(gateway.metric("sluice_stream_bytes"), 1 << 20)
        self.assertEqual(gateway.metric("sluice_events_dropped_total"), 0)

    def test_a_full_stream_that_rejects_says_quota_exceeded(self):
        gateway = self.gateway(config={"streams": {"events": {"max_bytes": "64KiB",
                                                              "when_full": "reject"}}})
        # Without an upstream nothing waits to be sent, so an absent one is needed.
        gateway.config["upstreams"] = [gateway.upstream(place.free_port())]
        gateway.start()
        with mqtt.Client(gateway.port, "v5", mqtt.V5) as client:
            client.connect()
            reasons = [client.publish("a", os.urandom(1000)).reason for _ in range(200)]
            self.assertEqual(set(reasons), {0, 0x97})
            first = reasons.index(0x97)
            self.assertGreater(first, 10)
            self.assertEqual(set(reasons[first:]), {0x97}, "nothing was sent in between")
            self.assertEqual(gateway.metric("sluice_events_rejected_total", reason="full"),
                             200 - first)
        with mqtt.Client(gateway.port, "v3") as client:
            client.connect()
            client.send_publish("a", os.urandom(1000))
            self.assertEqual(client.wait_closed(), [], "3.1.1 has no way to say no")

    def test_an_upstream_that_is_not_there_yet_is_found_when_it_comes(self):
        broker = self.mosquitto(start=False, persistence=True)
        gateway = self.gateway(upstream=broker.port).start()
        load = self.load(gateway.port, devices=5, count=1000)
        load.finish(30)
        broker.start()
        check = self.check(broker.port, load.ledger, client="late")
        # The subscriber may be later than the gateway: only what it saw can be judged.
        gateway.wait_forwarded()
        self.assertEqual(gateway.metric("sluice_upstream_forwarded_events_total"), 1000)
        self.assertEqual(check.wait_complete(1)["out_of_order"], 0)


if __name__ == "__main__":
    case.main()
