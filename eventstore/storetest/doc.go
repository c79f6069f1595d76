// Package storetest checks that an eventstore.EventStore keeps its contract.
//
// Typical usage, in the tests of a store:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, storetest.Harness{
//			Open: func(t *testing.T, dir string) eventstore.EventStore { ... },
//		})
//	}
//
// A Medium is a disk for tests of what uses a store: it can lose power, fail,
// fill up and hold what is to be synced.
package storetest
