// Package connectortest provides a connector.Host for tests, and checks that a
// connector keeps the contract of package connector.
package connectortest
