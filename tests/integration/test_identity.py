"""Source and id together are never given to two events, whatever becomes of the files."""

import json
import shutil

from sluicetest import case, mqtt

FILES = ("sluice.db", "sluice.db-wal", "sluice.db-shm")


class Identity(case.Case):
    def setUp(self):
        super().setUp()
        self.broker = self.mosquitto()
        self.gw = self.gateway()
        self.gw.config["upstreams"] = [self.gw.upstream(self.broker.port, envelope="binary",
                                                        streams=["events", "$gateway"])]
        self.backup = self.folder / "backup"

    def publish(self, *payloads):
        with mqtt.Client(self.gw.port) as client:
            client.connect()
            for payload in payloads:
                client.publish("site/a", payload.encode())

    def publish_and_forward(self, *payloads):
        self.publish(*payloads)
        self.gw.wait_forwarded()
        self.gw.wait_forwarded(stream="$gateway")

    def copy_database(self):
        self.backup.mkdir()
        for name in FILES:
            if (self.gw.data_dir / name).exists():
                shutil.copy2(self.gw.data_dir / name, self.backup / name)

    def restore_database(self):
        for name in FILES:
            (self.gw.data_dir / name).unlink(missing_ok=True)
            if (self.backup / name).exists():
                shutil.copy2(self.backup / name, self.gw.data_dir / name)

    def given(self, messages):
        """(source, id) -> payload of all messages; no id may have two."""
        given = {}
        for one in messages:
            user = one.user()
            key = user["source"], user["id"]
            self.assertEqual(given.setdefault(key, one.payload), one.payload, f"given twice: {key}")
        return given

    @staticmethod
    def events(messages):
        return [one for one in messages if one.user()["id"].startswith("events/")]

    def notices(self, messages):
        return [json.loads(one.payload) for one in messages
                if one.user()["id"].startswith("$gateway/")
                and one.topic == "sluice/test-gateway/epoch"]

    def test_a_restored_database_goes_on_under_another_epoch(self):
        collector = self.collector(self.broker)
        self.gw.start()
        self.publish_and_forward("0", "1", "2")
        old = self.gw.status()["epoch"]
        self.assertEqual(self.gw.stop(), 0)
        self.copy_database()
        self.gw.start()
        self.publish_and_forward("3", "4", "5", "6")
        self.assertEqual(self.gw.status()["epoch"], old)
        self.assertEqual(self.gw.stop(), 0)
        self.restore_database()
        self.gw.start()
        self.publish_and_forward("again 3", "again 4")
        new = self.gw.status()["epoch"]
        self.assertNotEqual(new, old)
        self.assertEqual(self.gw.metric("sluice_store_epochs_total"), 1)
        self.assertEqual(self.gw.stop(), 0)
        self.gw.start()
        self.publish_and_forward("again 5")
        self.assertEqual(self.gw.status()["epoch"], new)
        self.assertEqual(self.gw.stop(), 0)
        messages = collector.wait(11)
        events = self.events(messages)
        self.assertEqual(len(self.given(messages)), len(messages), "every id is another one")
        self.assertEqual([one.user()["source"].rpartition("/")[2] for one in events],
                         7 * [old] + 3 * [new])
        self.assertEqual([int(one.user()["id"].rpartition("/")[2]) for one in events],
                         [0, 1, 2, 3, 4, 5, 6, 3, 4, 5])
        self.assertEqual(self.notices(messages),
                         [{"epoch": new, "previous": old, "reason": "restored"}])

    def test_what_was_stored_before_keeps_its_id_when_it_is_sent_again(self):
        self.gw.start()
        self.publish_and_forward("0")
        old = self.gw.status()["epoch"]
        self.broker.stop()
        self.publish("1", "2")
        self.assertEqual(self.gw.stop(), 0)
        self.copy_database()
        self.broker.start()
        collector = self.collector(self.broker)
        self.gw.start()
        self.publish_and_forward("3")
        self.assertEqual(self.gw.stop(), 0)
        self.restore_database()
        self.gw.start()
        self.publish_and_forward("other 3")
        new = self.gw.status()["epoch"]
        self.assertEqual(self.gw.stop(), 0)
        messages = collector.wait(7)
        sources = [(one.user()["source"].rpartition("/")[2], one.payload.decode())
                   for one in self.events(messages)]
        self.assertEqual(sources, [(old, "1"), (old, "2"), (old, "3"),
                                   (old, "1"), (old, "2"), (new, "other 3")])
        self.given(messages)
        self.assertEqual([one["reason"] for one in self.notices(messages)], ["restored"])


if __name__ == "__main__":
    case.main()
