package lab

import (
	"context"
	"fmt"
	"time"
)

// Await polls a condition until it returns nil; after the deadline it says what was awaited and what was wrong last.
func Await(limit time.Duration, what string, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s until %s: %w", limit, what, err)
		case <-poll.C:
		}
	}
}
