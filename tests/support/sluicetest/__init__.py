"""The harness of the integration tests: processes, brokers, the gateway, a small MQTT client."""
