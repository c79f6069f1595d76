// Package bacnettest simulates BACnet devices for tests: a [Device] with objects,
// priorities, subscriptions and segmented answers, which is reached over UDP, or over
// a [Network] in memory with routers.
package bacnettest
