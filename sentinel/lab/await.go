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
	var last error // that says more than that the time is over
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s until %s: %w", limit, what, last)
		case <-poll.C:
		}
	}
}

// Pause lets d go by; false: ctx ended first.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
