"""The harness of the integration tests: processes, brokers, the gateway, and a small MQTT client."""
