"""A subscriber that keeps everything it gets, byte for byte."""

import threading

from . import mqtt, wait

# "#" does not match topics that begin with "$" [MQTT-4.7.2-1].
EVERYTHING = ("#", "$aws/#", "$iothub/#")


class Collector:
    """Subscribes at once and collects on a thread of its own until close()."""

    def __init__(self, port, filters=EVERYTHING, version=mqtt.V5, client_id="collector"):
        self.messages = []
        self.failure = None
        self._client = mqtt.Client(port, client_id, version)
        self._client.connect(keep_alive=0)
        granted = self._client.subscribe(*filters)
        assert all(reason < 3 for reason in granted.reasons), f"SUBACK {granted.reasons}"
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._closing:
                message = self._client.poll(0.1)
                if not message:
                    continue
                assert message.kind == mqtt.PUBLISH, f"unexpected {message!r}"
                if message.qos:
                    self._client.acknowledge(message)
                self.messages.append(message)
        except Exception as error:  # pylint: disable=broad-except
            if not self._closing:
                self.failure = error

    def wait(self, count, seconds=20, settle=0.3):
        """Until count messages are there and no more come for a moment; returns them all."""
        wait.until(lambda: len(self.messages) >= count or self.failure, seconds,
                   lambda: f"{count} messages upstream, {len(self.messages)} came")
        assert not self.failure, f"collector: {self.failure!r}"
        self._thread.join(settle)
        return list(self.messages)

    def close(self):
        self._closing = True
        self._thread.join(5)
        self._client.disconnect()
