package monitor

import (
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// StoreFailure returns a Config.StoreFailure for a store that can change, such as
// that of Gateway.Store. Stores that do not tell their Condition, as a
// *filestore.Store does, never fail.
func StoreFailure(store func() eventstore.EventStore) func() error {
	return func() error {
		s, ok := store().(interface{ Condition() filestore.Condition })
		if !ok {
			return nil
		}
		return s.Condition().Failure
	}
}
