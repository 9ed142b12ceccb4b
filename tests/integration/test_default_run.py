"""The gateway without a configuration file, and what configuration files may be made of."""

import json
import os
import shutil

from sluicetest import case, mqtt, place, wait
from sluicetest.brokers import accepts
from sluicetest.gateway import EXIT_CONFIG, EXIT_RUNTIME
from sluicetest.process import Process, run

DEFAULT_PORT = 1883
NOBODY = 65534


class DefaultRun(case.Case):
    def _run(self, gateway, prefix=(), **env):
        """sluice run without a file, away from the folders of whoever runs the test."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        gateway.env = {"HOME": str(home), "XDG_STATE_HOME": "", "STATE_DIRECTORY": "",
                       "XDG_RUNTIME_DIR": "", "RUNTIME_DIRECTORY": "", "XDG_CONFIG_HOME": "",
                       **{key: str(value) for key, value in env.items()}}
        taken = accepts(DEFAULT_PORT)
        gateway.process = Process("default", [*prefix, gateway.binary, "run"], self.folder,
                                  env=gateway.env, cwd=home)
        return taken

    def _assert_default(self, state, prefix=(), **env):
        """It listens on 1883 of loopback with its data below state; where somebody else has that
        port it must say so, and its store is made or not, but nowhere else."""
        gateway = self.gateway()
        if prefix:
            copy = self.folder / "sluice"
            shutil.copy(gateway.binary, copy)
            copy.chmod(0o755)
            gateway.binary = copy
        if self._run(gateway, prefix, **env):
            self.assertEqual(gateway.process.wait(20), EXIT_RUNTIME, gateway.process.tail())
            self.assertIn("127.0.0.1:1883", gateway.process.err())
            return
        wait.until(lambda: accepts(DEFAULT_PORT), 20, "the default listener",
                   alive=gateway.process)
        with mqtt.Client(DEFAULT_PORT) as client:
            client.connect()
            client.publish("first/steps", b"hello")
        self.assertTrue((state / "sluice.db").is_file(),
                        f"no store in {state}: {[str(p) for p in self.folder.rglob('*')]}")
        self.assertEqual(os.stat(state).st_mode & 0o077, 0, "the data is nobody else's business")
        result = run([*prefix, gateway.binary, "status", "--json"], env=gateway.env)
        self.assertEqual(result.returncode, 0, result.stderr)
        status = json.loads(result.stdout)
        self.assertEqual(sorted(status["streams"]), ["$audit", "$dlq", "$gateway", "events"])
        self.assertEqual(status["streams"]["events"]["appended_events"], 1)
        self.assertEqual(status["upstreams"], {})
        self.assertIsNone(status["config"]["file"])
        self.assertEqual(gateway.stop(), 0)

    def test_without_a_file_it_keeps_its_data_below_xdg_state_home(self):
        state = self.folder / "state"
        self._assert_default(state / "sluice", XDG_STATE_HOME=state)

    def test_without_a_file_it_keeps_its_data_below_home(self):
        home = self.folder / "home"
        prefix = ()
        if os.geteuid() == 0:  # root has /var/lib instead
            self.folder.chmod(0o755)
            home.mkdir()
            os.chown(home, NOBODY, NOBODY)
            prefix = place.as_user(NOBODY)
        self._assert_default(home / ".local" / "state" / "sluice", prefix)

    def test_without_a_file_it_keeps_its_data_in_the_state_directory_of_its_service(self):
        state = self.folder / "service"
        state.mkdir(mode=0o700)
        self._assert_default(state, STATE_DIRECTORY=state, XDG_STATE_HOME=self.folder / "not")
        self.assertFalse((self.folder / "not").exists())


class Files(case.Case):
    def _write(self, name, text, mode=0o644):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def _check(self, gateway, code, *words):
        result = gateway.check()
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        for word in words:
            self.assertIn(word, result.stdout + result.stderr)

    def test_files_of_conf_d_are_merged(self):
        broker = self.mosquitto()
        collector = self.collector(broker)
        gateway = self.gateway(config={"include": "conf.d/*.json"})
        upstream = json.dumps(gateway.upstream(broker.port))
        self._write("conf.d/10-upstream.json", '{"upstreams": [%s]} // a comment' % upstream)
        self._write("conf.d/20-streams.json", '{"streams": {"events": {"max_bytes": "8MiB"}}}')
        self._write("conf.d/ignored.txt", "this is not read")
        self._check(gateway, 0)
        gateway.start()
        with mqtt.Client(gateway.port) as client:
            client.connect()
            client.publish("a", b"1")
        collector.wait(1)
        self.assertEqual(gateway.stop(), 0)

    def test_a_clash_between_two_files_names_both_places(self):
        gateway = self.gateway(config={"include": "conf.d/*.json"})
        first = self._write("conf.d/a.json", '{"commit": {"max_delay": "1ms"}}')
        second = self._write("conf.d/b.json", '{"commit":\n {"max_delay": "2ms"}}')
        self._check(gateway, EXIT_CONFIG, f"{first}:1:", f"{second}:2:", "max_delay")

    def test_an_error_in_an_included_file_names_that_file(self):
        gateway = self.gateway(config={"include": ["more.json"]})
        more = self._write("more.json", '{\n"comit": {}}')
        self._check(gateway, EXIT_CONFIG, f"{more}:2:1", '"commit"')

    def test_an_included_file_that_does_not_exist_is_named(self):
        gateway = self.gateway(config={"include": ["nowhere.json"]})
        self._check(gateway, EXIT_CONFIG, str(self.folder / "nowhere.json"))

    def test_values_come_from_the_environment_and_from_secret_files(self):
        gateway = self.gateway()
        gateway.config["gateway"]["id"] = "${env:SLUICE_TEST_PLANT}-${file:secret}"
        gateway.env["SLUICE_TEST_PLANT"] = "plant7"
        self._write("secret", "gw1\n", 0o600)
        gateway.start()
        self.assertEqual(gateway.status()["gateway"], "plant7-gw1")

    def test_a_secret_that_others_can_read_is_refused(self):
        gateway = self.gateway()
        gateway.config["gateway"]["id"] = "${file:secret}"
        secret = self._write("secret", "gw1", 0o644)
        self._check(gateway, EXIT_CONFIG, str(secret), "chmod")
        secret.chmod(0o640)
        self._check(gateway, EXIT_CONFIG, str(secret))
        secret.chmod(0o600)
        self._check(gateway, 0)

    def test_an_environment_variable_that_is_not_set_is_named(self):
        gateway = self.gateway()
        gateway.config["gateway"]["id"] = "${env:SLUICE_TEST_NOT_SET}"
        self._check(gateway, EXIT_CONFIG, "SLUICE_TEST_NOT_SET")


if __name__ == "__main__":
    case.main()
