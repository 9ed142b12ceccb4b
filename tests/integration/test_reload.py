"""SIGHUP: the configuration is read again, whole or not at all."""

from sluicetest import case, mqtt, place, wait


class Reload(case.Case):
    def _reload(self, gateway, result):
        """Writes the configuration, sends SIGHUP and waits for this result ("ok", "refused")."""
        def count():
            return gateway.metric("sluice_config_reloads_total", result=result)

        before = count()
        gateway.reload()
        wait.until(lambda: count() == before + 1, 20,
                   lambda: f"a reload that is {result}:\n{gateway.process.tail()}",
                   alive=gateway.process)

    def _publish(self, gateway, payload):
        with mqtt.Client(gateway.port) as client:
            client.connect()
            client.publish("a/b", payload)

    def test_a_valid_change_takes_effect_without_a_restart(self):
        first, second = self.mosquitto(), self.mosquitto()
        at_first, at_second = self.collector(first), self.collector(second)
        gateway = self.gateway(upstream=first.port).start()
        self._publish(gateway, b"1")
        at_first.wait(1)
        pid = gateway.process.pid
        gateway.config["upstreams"].append(
            {**gateway.upstream(second.port), "name": "second", "start": "newest"})
        gateway.write_config()
        self._reload(gateway, "ok")
        gateway.wait_metric(
            lambda m: m.get("sluice_upstream_connected", upstream="second") == 1, 20,
            "the new upstream to be connected")
        self._publish(gateway, b"2")
        self.assertEqual([one.payload for one in at_second.wait(1)], [b"2"])
        self.assertEqual([one.payload for one in at_first.wait(2)], [b"1", b"2"])
        # And away again.
        del gateway.config["upstreams"][0]
        gateway.write_config()
        self._reload(gateway, "ok")
        self._publish(gateway, b"3")
        self.assertEqual([one.payload for one in at_second.wait(2)], [b"2", b"3"])
        self.assertEqual([one.payload for one in at_first.wait(2)], [b"1", b"2"])
        self.assertEqual(gateway.process.pid, pid)
        self.assertEqual(gateway.stop(), 0)

    def test_a_changed_upstream_goes_on_where_the_old_one_stopped(self):
        broker = self.mosquitto(persistence=True)
        check = self.check(broker.port, self.folder / "load.ledger")
        gateway = self.gateway(upstream=broker.port).start()
        load = self.load(gateway.port, devices=10, rate=2000, count=10000)
        for window in (10, 150, 50):
            before = gateway.metric("sluice_events_acknowledged_total")
            gateway.wait_metric(
                lambda m, at=before: m.get("sluice_events_acknowledged_total") > at + 1000, 20,
                "events between the reloads")
            gateway.config["upstreams"][0]["window"] = window
            gateway.write_config()
            self._reload(gateway, "ok")
        load.finish(60)
        gateway.wait_forwarded(60)
        self.assertEqual(gateway.metric("sluice_upstream_window_messages"), 50)
        report = check.wait_complete(60)
        self.assertEqual((report["missing"], report["out_of_order"]), (0, 0), report)

    def test_devices_stay_connected_over_a_reload(self):
        gateway = self.gateway().start()
        with mqtt.Client(gateway.port) as client:
            client.connect()
            client.publish("a", b"1")
            gateway.config["commit"] = {"max_delay": "5ms"}
            gateway.config["streams"] = {"events": {"max_bytes": "64MiB"}}
            gateway.write_config()
            self._reload(gateway, "ok")
            client.publish("a", b"2")
            client.ping()

    def test_an_invalid_configuration_is_refused_with_the_reason_and_the_old_one_stays(self):
        broker = self.mosquitto()
        collector = self.collector(broker)
        gateway = self.gateway(upstream=broker.port).start()
        gateway.config_path.write_text('{\n  "upstreems": []\n}', encoding="utf-8")
        self._reload(gateway, "refused")
        said = gateway.process.wait_err(f"{gateway.config_path}:2:3")
        self.assertIn("upstreams", said)
        self._publish(gateway, b"still here")
        self.assertEqual([one.payload for one in collector.wait(1)], [b"still here"])
        gateway.write_config()
        self._reload(gateway, "ok")
        self.assertEqual(gateway.stop(), 0)

    def test_a_change_that_needs_a_restart_is_named_and_the_rest_is_applied(self):
        broker = self.mosquitto()
        gateway = self.gateway().start()
        gateway.config["gateway"]["data_dir"] = str(self.folder / "elsewhere")
        gateway.config["upstreams"] = [gateway.upstream(broker.port)]
        gateway.write_config()
        self._reload(gateway, "ok")
        said = gateway.process.wait_err("gateway.data_dir")
        self.assertIn("restart", said)
        self.assertIn("gateway.data_dir", gateway.status()["config"]["restart_required"])
        self.assertFalse((self.folder / "elsewhere").exists())
        gateway.wait_metric(
            lambda m: m.get("sluice_upstream_connected", upstream="cloud") == 1, 20,
            "the new upstream to be connected")
        self._publish(gateway, b"1")
        self.assertEqual(gateway.stop(), 0)

    def test_a_listener_that_came_by_reload_is_served_or_named(self):
        gateway = self.gateway().start()
        port = place.free_port()
        gateway.config["listeners"].append(
            {"name": "more", "bind": f"127.0.0.1:{port}", "anonymous": True})
        gateway.write_config()
        self._reload(gateway, "ok")
        if any("listeners" in key for key in gateway.status()["config"]["restart_required"]):
            gateway.process.wait_err("listeners")
            return
        with mqtt.Client(port) as client:
            client.connect()
            client.publish("a", b"1")


if __name__ == "__main__":
    case.main()
