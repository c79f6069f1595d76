// Package mqttxtest starts real MQTT brokers, and makes certificates, for tests.
package mqttxtest
