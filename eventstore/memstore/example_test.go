package memstore_test

import (
	"context"
	"fmt"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
)

func ExampleNew() {
	ctx := context.Background()
	store := memstore.New(memstore.Config{MaxRecords: 2, Overflow: eventstore.DropOldest})
	for _, reading := range []string{"20.1", "20.2", "20.3"} {
		if _, err := store.Append(ctx, []byte(reading)); err != nil {
			fmt.Println(err)
		}
	}
	records, err := store.Peek(ctx, 0, nil, eventstore.Limit{})
	if err != nil {
		fmt.Println(err)
	}
	for _, r := range records {
		fmt.Printf("%d: %s\n", r.Offset, r.Data)
	}
	fmt.Println("dropped:", store.Stats().Dropped)
	// Output:
	// 2: 20.2
	// 3: 20.3
	// dropped: 1
}
