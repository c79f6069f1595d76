// Package e2e tests the whole way, from a field device to the platform, with
// real processes: the gateway of examples/configfile, brokers that nobody here
// wrote, and SIGKILL.
package e2e
