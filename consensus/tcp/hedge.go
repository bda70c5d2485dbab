package tcp

import (
	"context"
	"net"
	"time"
)

// Dial makes a connection.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// hedgeEvery is how long one attempt to connect is waited for until another one is made beside it.
const hedgeEvery = 200 * time.Millisecond

// Hedged dials again while earlier attempts hang, until one gets through, one fails, or ctx ends. A packet that was lost in a partition is
// sent again only after a second, and then after two: whoever waits for that has the partition last longer than it did.
func Hedged(dial Dial) Dial {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		type result struct {
			conn net.Conn
			err  error
		}
		attempts, stop := context.WithCancel(ctx)
		results, pending := make(chan result), 0
		try := func() {
			pending++
			go func() { // ends with the attempt, which stop ends; it is waited for
				conn, err := dial(attempts, network, addr)
				results <- result{conn, err}
			}()
		}
		defer func() {
			stop()
			for ; pending > 0; pending-- {
				if r := <-results; r.conn != nil {
					_ = r.conn.Close() // it came too late, and nobody has used it
				}
			}
		}()
		try()
		again := time.NewTicker(hedgeEvery)
		defer again.Stop()
		for {
			select {
			case r := <-results:
				pending--
				return r.conn, r.err
			case <-again.C:
				try()
			}
		}
	}
}
