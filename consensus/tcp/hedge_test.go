package tcp

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHedged: an attempt that hangs is not waited for when a later one gets through; a refusal is known at once; nothing stays open.
func TestHedged(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		mended  time.Duration // attempts get through if they begin then, or later
		err     error         // what they end with then
		timeout time.Duration
		want    time.Duration
	}{
		"at once":                {0, nil, time.Second, 0},
		"refused at once":        {0, refused, time.Second, 0},
		"the third one":          {300 * time.Millisecond, nil, time.Second, 400 * time.Millisecond},
		"the third one, refused": {300 * time.Millisecond, refused, time.Second, 400 * time.Millisecond},
		"never":                  {time.Hour, nil, time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, open := time.Now(), new(atomic.Int32)
				conn, err := Hedged(func(ctx context.Context, _, _ string) (net.Conn, error) {
					if time.Since(start) < c.mended {
						<-ctx.Done()
						open.Add(1)
						return &counted{open: open}, nil // it got through just when nobody wanted it any more
					}
					if c.err != nil {
						return nil, c.err
					}
					open.Add(1)
					return &counted{open: open}, nil
				})(deadline(t, c.timeout), "tcp", "h:1")
				if took := time.Since(start); took != c.want {
					t.Errorf("it took %s, want %s", took, c.want)
				}
				if c.err != nil && !errors.Is(err, c.err) {
					t.Errorf("it failed with %v, want %v", err, c.err)
				}
				if conn != nil {
					_ = conn.Close() // counted
				}
				if n := open.Load(); n != 0 {
					t.Errorf("%d connections stay open", n)
				}
			})
		})
	}
}

func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// counted is a connection that counts itself.
type counted struct {
	net.Conn
	open *atomic.Int32
}

func (c *counted) Close() error {
	c.open.Add(-1)
	return nil
}
