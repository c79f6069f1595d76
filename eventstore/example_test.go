package eventstore_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
)

// A reader goes on from the last offset that it has seen, and acknowledges what
// has been delivered.
func Example() {
	ctx := context.Background()
	var store eventstore.EventStore = memstore.New(memstore.Config{})
	for _, reading := range []string{"a", "b", "c", "d", "e"} {
		if _, err := store.Append(ctx, []byte(reading)); err != nil {
			fmt.Println(err)
		}
	}
	var batch []eventstore.Record
	for seen := uint64(0); seen < 5; seen = batch[len(batch)-1].Offset {
		var err error
		batch, err = store.Peek(ctx, seen, batch[:0], eventstore.Limit{Records: 2})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, r := range batch {
			fmt.Printf("%d%s ", r.Offset, r.Data)
		}
		if err := store.Ack(ctx, batch[len(batch)-1].Offset); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("pending:", store.Stats().Pending)
	if err := store.Close(); err != nil {
		fmt.Println(err)
	}
	_, err := store.Append(ctx, nil)
	fmt.Println(errors.Is(err, eventstore.ErrClosed))
	// Output:
	// 1a 2b 3c 4d 5e pending: 0
	// true
}
