"""Pages of the database are overwritten under a running gateway."""

import json
import os

from sluicetest import case, mqtt, wait

COUNT, RATE = 60000, 20000


class Damage(case.Case):
    def _tail(self, gateway, stream):
        done = gateway.command("tail", "-c", gateway.config_path, "-f", "0", "-n", "1000000",
                               stream)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return [line for line in lines if "offset" in line]

    def _overwrite(self, path, begin, end):
        """Of the pages between two shares of the file, with bytes that are nothing."""
        size = os.stat(path).st_size
        first, last = int(size * begin) // 1024, int(size * end) // 1024
        with open(path, "r+b", buffering=0) as file:
            file.seek(first * 1024)
            file.write(b"\xa5\x5a\x00\x17" * 256 * (last - first))
        return last - first

    def test_a_gateway_whose_database_is_overwritten_comes_back_by_itself(self):
        broker = self.mosquitto()
        gateway = self.gateway(upstream=broker.port).start()
        broker.stop()
        load = self.load(gateway.port, devices=20, rate=RATE, count=COUNT)
        load.finish(120)
        head = int(gateway.metric("sluice_stream_next_offset", stream="events"))
        self.assertEqual(head, COUNT)
        database = gateway.data_dir / "sluice.db"
        wait.until(lambda: os.stat(database).st_size > 2 << 20, 20, "the log to be copied",
                   alive=gateway.process)
        pages = self._overwrite(database, 0.4, 0.6)
        pid = gateway.process.pid
        broker.start()
        collector = self.collector(broker)
        gateway.wait_metric(lambda m: m.get("sluice_upstream_connected", upstream="cloud"), 30,
                            "the upstream")

        def salvaged():
            try:
                return gateway.metric("sluice_store_quarantines") == 1 and gateway.ready()
            except (OSError, AssertionError):
                return False  # between the two gateways
        wait.until(salvaged, 60, "the gateway to salvage its store", alive=gateway.process)
        self.assertEqual(gateway.process.pid, pid, "the process went on")

        # It serves and forwards.
        client = mqtt.Client(gateway.port, "after")
        client.connect()
        client.publish("after/the/damage", b"still here", qos=1)
        client.disconnect()
        gateway.wait_forwarded(60)
        wait.until(lambda: any(m.topic == "after/the/damage" for m in collector.messages), 30,
                   "the event that came after the damage")

        # Each offset can be replayed or is named by a gap record; nothing else was lost.
        there = [line["offset"] for line in self._tail(gateway, "events")]
        self.assertEqual(len(there), len(set(there)))
        missing = set(range(COUNT)) - set(there)
        told = set()
        for line in self._tail(gateway, "$gateway"):
            record = json.loads(line["payload"]) if isinstance(line["payload"], str) \
                else line["payload"]
            if record.get("reason") == "damaged" and record.get("stream") == "events" \
                    and "from" in record:
                told |= set(range(record["from"], record["to"]))
        self.say(f"{pages} pages overwritten: {len(missing)} of {COUNT} events lost")
        self.assertTrue(missing, "the damage must have hit something")
        self.assertLess(len(missing), COUNT // 2)
        self.assertEqual(missing - told, set(), "lost and not told")
        self.assertEqual(told - missing, set(), "told and not lost")
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(gateway.command("recover", "--check", gateway.data_dir).returncode, 0)
        done = gateway.command("recover", gateway.data_dir)
        self.assertIn("nothing is damaged", done.stdout)
        self._overwrite(database, 0.2, 0.3)
        self.assertEqual(gateway.command("recover", "--check", gateway.data_dir).returncode, 1)
        done = gateway.command("recover", gateway.data_dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("salvaged", done.stdout)
        gateway.start()
        self.assertEqual(gateway.command("recover", gateway.data_dir).returncode, 1,
                         "a gateway holds the store")
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    case.main()
