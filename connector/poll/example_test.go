package poll_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/connector/poll"
)

func ExampleLane() {
	read := func(register string) poll.Job {
		return poll.Job{Interval: time.Hour, Poll: func(context.Context, *poll.Turn) error {
			fmt.Println("read", register)
			return nil
		}}
	}
	lane, err := poll.NewLane(poll.Config{}, poll.Device{
		Name: "boiler",
		Jobs: []poll.Job{read("temperature"), read("pressure")},
		Changed: func(_ context.Context, online bool, _ error) {
			fmt.Println("online:", online)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = lane.Run(ctx) // always ctx.Err()
	// Output:
	// read temperature
	// online: true
	// read pressure
}
