"""Bad input and bad circumstances: a message that names the place and the fix, a defined exit
code, and no loss."""

import hashlib
import os
import shutil
import sqlite3

from sluicetest import case, mqtt, place, wait
from sluicetest.gateway import EXIT_CONFIG, EXIT_RUNTIME
from sluicetest.process import run

NOBODY = 65534


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class BadInput(case.Case):
    def _refused(self, gateway, code, *words, prefix=()):
        """The gateway must end by itself with this exit code, having said all these words and how
        to mend it; returns what it said."""
        gateway.launch(prefix)
        said = self._ended(gateway, code)
        for word in words:
            self.assertIn(word, said)
        self.assertIn("fix:", said, "no word about the remedy")
        return said

    def _ended(self, gateway, code):
        ended = gateway.process.wait(20)
        said = gateway.process.err()
        self.assertEqual(ended, code, said)
        return said

    def _refuse_text(self, text, pattern, *words):
        """Both run and check refuse this configuration, naming file:line:column."""
        gateway = self.gateway()
        gateway.config_path.write_bytes(text if isinstance(text, bytes) else text.encode())
        for command in ("check", "run"):
            result = gateway.command(command, "-c", gateway.config_path)
            self.assertEqual(result.returncode, EXIT_CONFIG, f"{command}: {result.stderr}")
            self.assertRegex(result.stderr, f"{gateway.config_path}:{pattern}")
            for word in words:
                self.assertIn(word, result.stderr)
        self.assertFalse(gateway.data_dir.exists(), "nothing may be made on a bad configuration")

    # configuration

    def test_a_mistyped_key_is_refused_with_its_place_and_a_suggestion(self):
        self._refuse_text('{\n  "gateway": {},\n  "listners": []\n}', "3:3", "listners",
                          '"listeners"')

    def test_a_mistyped_key_deep_inside_is_refused_with_its_place_and_a_suggestion(self):
        self._refuse_text('{"streams": {"events":\n    {"max_byte": "1MiB"}}}', "2:6", "max_byte",
                          '"max_bytes"')

    def test_a_value_of_the_wrong_kind_is_refused_with_its_place(self):
        self._refuse_text('{"commit": {"max_delay": "soon"}}', "1:", "max_delay", "soon")

    def test_a_key_given_twice_is_refused_with_its_place(self):
        self._refuse_text('{"gateway": {},\n "gateway": {}}', "2:2", "gateway")

    def test_bytes_behind_the_document_are_refused_with_their_place(self):
        self._refuse_text('{}\n{}', "2:1")

    def test_bad_utf8_is_refused_with_its_place(self):
        self._refuse_text(b'{"gateway": {"id": "\xff"}}', "1:")

    def test_a_cut_document_is_refused_with_its_place(self):
        self._refuse_text('{"gateway": {"id": "x"', "1:")

    def test_a_file_that_does_not_exist_is_a_configuration_error(self):
        gateway = self.gateway()
        result = gateway.command("run", "-c", gateway.config_path)
        self.assertEqual(result.returncode, EXIT_CONFIG, result.stderr)
        self.assertIn(str(gateway.config_path), result.stderr)

    def test_a_listener_that_would_be_open_to_nobody_or_has_a_bad_address_is_refused(self):
        self._refuse_text('{"listeners": [{"name": "a", "bind": "127.0.0.1:99999"}]}', "1:",
                          "bind")

    # surroundings

    def test_an_unreadable_data_directory_is_named(self):
        gateway = self.gateway()
        gateway.data_dir.mkdir(mode=0o700)
        prefix = ()
        if os.geteuid() == 0:
            self.folder.chmod(0o755)
            prefix = place.as_user(NOBODY)
            copy = self.folder / "sluice"
            shutil.copy(gateway.binary, copy)
            copy.chmod(0o755)
            gateway.binary = copy
        else:
            gateway.data_dir.chmod(0)
            self.addCleanup(gateway.data_dir.chmod, 0o700)
        gateway.config["admin"] = {}
        self._refused(gateway, EXIT_CONFIG, str(gateway.data_dir), prefix=prefix)

    def test_a_port_in_use_is_named(self):
        broker = self.mosquitto()
        gateway = self.gateway()
        gateway.config["listeners"][0]["bind"] = f"127.0.0.1:{broker.port}"
        self._refused(gateway, EXIT_RUNTIME, f"127.0.0.1:{broker.port}", "in use")

    def test_a_second_gateway_on_the_same_data_directory_is_refused(self):
        first = self.gateway().start()
        second = self.gateway(name="second")
        second.config["gateway"]["data_dir"] = str(first.data_dir)
        self._refused(second, EXIT_RUNTIME, str(first.data_dir))
        with mqtt.Client(first.port) as client:
            client.connect()
            client.publish("a", b"the first one works on")

    # the database

    def _store(self, gateway):
        return gateway.data_dir / "sluice.db"

    def _assert_untouched(self, gateway, *words):
        path = self._store(gateway)
        before = sha256(path)
        self._refused(gateway, EXIT_CONFIG, str(path), *words)
        self.assertEqual(sha256(path), before, "the file was changed")
        self.assertFalse(path.with_name("sluice.db-wal").exists(), "a WAL was left beside it")

    def test_a_foreign_sqlite_file_is_left_untouched(self):
        gateway = self.gateway()
        gateway.data_dir.mkdir()
        database = sqlite3.connect(self._store(gateway))
        database.execute("CREATE TABLE treasure(what)")
        database.execute("INSERT INTO treasure VALUES ('gold')")
        database.commit()
        database.close()
        self._assert_untouched(gateway)

    def test_a_file_that_is_no_database_is_left_untouched(self):
        gateway = self.gateway()
        gateway.data_dir.mkdir()
        self._store(gateway).write_bytes(b"This is somebody's diary.\n" * 500)
        self._assert_untouched(gateway)

    def test_a_store_of_a_newer_format_is_left_untouched(self):
        gateway = self.gateway().start()
        with mqtt.Client(gateway.port) as client:
            client.connect()
            client.publish("a", b"1")
        self.assertEqual(gateway.stop(), 0)
        database = sqlite3.connect(self._store(gateway))
        version, = database.execute("PRAGMA user_version").fetchone()
        self.assertGreater(version, 0)
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute(f"PRAGMA user_version = {version + 1}")
        database.commit()
        database.close()
        self._assert_untouched(gateway, "newer")


class FullDisk(case.Case):
    """A small file system of its own, filled up by a file that the test removes."""

    SIZE = 24 << 20

    def _disk(self):
        disk = self.folder / "disk"
        disk.mkdir()
        place.require(os.geteuid() == 0, "mounting a small file system needs root")
        result = run([place.program("mount"), "-t", "tmpfs", "-o", f"size={self.SIZE}", "sluice",
                      disk])
        place.require(result.returncode == 0, f"cannot mount: {result.stderr}")
        self.addCleanup(run, [place.program("umount"), "-l", disk])
        return disk

    def _fill(self, disk, leave):
        """Leaves so many bytes free; returns the file that takes the rest."""
        ballast = disk / "ballast"
        free = shutil.disk_usage(disk).free
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free - leave, 4096))
        return ballast

    def _degraded(self, gateway):
        return gateway.metric("sluice_store_degraded") == 1

    def _assert_waits(self, client, topic):
        """No PUBACK comes, but the connection lives."""
        client.send_publish(topic, b"held")
        self.assertIsNone(client.poll(1), "acknowledged on a full disk")

    def test_a_full_disk_holds_acknowledgements_and_everything_goes_on_when_there_is_space(self):
        disk = self._disk()
        broker = self.mosquitto()
        check = self.check(broker.port, self.folder / "load.ledger")
        gateway = self.gateway(upstream=broker.port)
        gateway.config["gateway"]["data_dir"] = str(disk / "data")
        gateway.start()
        ballast = self._fill(disk, 1 << 20)
        load = self.load(gateway.port, devices=10, window=20, count=100000, payload=400, drain=100,
                         reconnect=True)
        wait.until(lambda: self._degraded(gateway), 60, "the disk to be full",
                   alive=gateway.process)
        status = gateway.status()
        self.assertEqual((status["state"], gateway.get("/readyz")[0], gateway.get("/healthz")[0]),
                         ("degraded", 503, 200), status)
        self.assertTrue(status["trouble"])
        said = gateway.process.wait_err("degraded")
        self.assertIn("level=error", said)
        # What is acknowledged stays where it is: nothing is acknowledged that is not stored.
        gateway.wait_forwarded(20)
        before = gateway.metric("sluice_events_acknowledged_total")
        with mqtt.Client(gateway.port, "held", mqtt.V5) as client:
            client.connect()
            self._assert_waits(client, "load/held")
            self.assertEqual(gateway.metric("sluice_events_acknowledged_total"), before)
            self.assertTrue(self._degraded(gateway))
            self.assertIsNone(gateway.process.returncode())
            ballast.unlink()
            self.assertEqual(client.read(mqtt.PUBACK, 30).reason & 0x80, 0)
        wait.until(lambda: not self._degraded(gateway), 10, "recovery", alive=gateway.process)
        self.assertEqual(gateway.status()["state"], "running")
        load.process.stop()
        gateway.wait_forwarded(60)
        report = check.wait_complete(60)
        self.say(f"{before:g} events acknowledged before the disk was full, "
                 f"{report['acknowledged']} at the end, {report['duplicates']} duplicates")
        self.assertGreater(report["acknowledged"], before)
        self.assertEqual((report["missing"], report["out_of_order"], report["unknown"]), (0, 0, 1),
                         report)
        self.assertEqual(gateway.stop(), 0)

    def test_a_gateway_killed_on_a_full_disk_has_lost_nothing_it_acknowledged(self):
        disk = self._disk()
        gateway = self.gateway()
        gateway.config["gateway"]["data_dir"] = str(disk / "data")
        gateway.start()
        ballast = self._fill(disk, 1 << 20)
        load = self.load(gateway.port, devices=10, window=20, count=100000, payload=400)
        wait.until(lambda: self._degraded(gateway), 60, "the disk to be full",
                   alive=gateway.process)
        load.stop()
        gateway.kill()
        gateway.launch()
        gateway.process.wait_err('msg="started"', 20)
        ballast.unlink()
        gateway.wait_ready(30)
        self.assertEqual(gateway.stop(), 0)
        broker = self.mosquitto()
        check = self.check(broker.port, load.ledger)
        gateway.config["upstreams"] = [gateway.upstream(broker.port, start="oldest")]
        gateway.start()
        gateway.wait_forwarded(60)
        report = check.wait_complete(60)
        self.assertGreater(report["acknowledged"], 100)
        self.assertEqual((report["missing"], report["out_of_order"]), (0, 0), report)

    def test_a_start_on_a_full_disk_is_degraded_and_recovers_by_itself(self):
        disk = self._disk()
        gateway = self.gateway()
        gateway.config["gateway"]["data_dir"] = str(disk / "data")
        ballast = self._fill(disk, 0)
        gateway.launch()
        wait.until(lambda: gateway.socket_path.exists() and self._degraded(gateway), 20,
                   lambda: f"a degraded start:\n{gateway.process.tail()}", alive=gateway.process)
        self.assertEqual(gateway.get("/readyz")[0], 503)
        client = mqtt.Client(gateway.port, "early", mqtt.V5)
        self.addCleanup(client.close)
        client.connect()
        self._assert_waits(client, "early")
        ballast.unlink()
        self.assertEqual(client.read(mqtt.PUBACK, 30).reason & 0x80, 0)
        gateway.wait_ready()
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    case.main()
