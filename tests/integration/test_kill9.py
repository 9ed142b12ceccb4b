"""The gateway is killed at random moments: what it acknowledged is not lost."""

import os
import random
import time

from sluicetest import case

ROUNDS = int(os.environ.get("SLUICE_KILL9_ROUNDS", "50"))
RATE = 10000


class Kill9(case.Case):
    def test_every_acknowledged_event_survives_kill_9_at_random_moments(self):
        seed = int(os.environ.get("SLUICE_SEED") or random.SystemRandom().randrange(1 << 32))
        dice = random.Random(seed)
        self.say(f"SLUICE_SEED={seed} SLUICE_KILL9_ROUNDS={ROUNDS}")
        broker = self.mosquitto()
        check = self.check(broker.port, self.folder / "load.ledger")
        gateway = self.gateway(upstream=broker.port).start()
        load = self.load(gateway.port, devices=50, rate=RATE, seconds=100000, reconnect=True)
        cleanly = 0
        for _ in range(ROUNDS):
            before = check.report()["acknowledged"]
            # From "hardly connected" to "in full stream"; every third round waits for events.
            time.sleep(dice.uniform(0.02, 1.2))
            if dice.random() < 0.34:
                gateway.wait_metric(lambda m: m.get("sluice_events_acknowledged_total") > 1000,
                                    30, "a stream to interrupt")
            gateway.kill()
            gateway.start(30)
            cleanly += check.report()["acknowledged"] > before
        gateway.wait_metric(lambda m: m.get("sluice_events_acknowledged_total") > 1000, 30,
                            "the fleet to be back")
        summary = load.stop()
        gateway.wait_forwarded(120)
        report = check.wait_complete(60)
        self.say(f"{ROUNDS} kills, {report['acknowledged']} events acknowledged, "
                 f"{report['distinct']} distinct upstream, {report['duplicates']} duplicates, "
                 f"{report['missing']} missing; {summary.get('lost_connections')} connections cut")
        self.assertEqual((report["missing"], report["out_of_order"], report["unknown"]), (0, 0, 0),
                         report)
        self.assertGreater(report["acknowledged"], ROUNDS * 100, "there was hardly a stream")
        self.assertGreater(cleanly, ROUNDS // 2, "most rounds must acknowledge something")
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    case.main()
