package resp

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// traffic counts what goes in and out.
type traffic struct {
	accepted, rejected, errors atomic.Int64
	reads, writes              atomic.Int64
	commands, input, output    meter
}

// Traffic is what goes on at a server's ports.
type Traffic struct {
	Open                                 int   // connections
	Accepted, Rejected, Commands, Errors int64 // since the start
}

// Traffic is that of this server.
func (s *Server) Traffic() Traffic {
	s.mu.Lock()
	open := len(s.clients)
	s.mu.Unlock()
	t := &s.traffic
	return Traffic{Open: open, Accepted: t.accepted.Load(), Rejected: t.rejected.Load(), Commands: t.commands.total(), Errors: t.errors.Load()}
}

func (t *traffic) wrote(bytes int) {
	t.writes.Add(1)
	t.output.count(int64(bytes))
}

// counted counts what is read from a client.
type counted struct {
	io.Reader
	traffic *traffic
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.traffic.reads.Add(1)
	c.traffic.input.count(int64(n))
	return n, err
}

// A meter's rate is that of the last samples, each so long, as Redis's is.
const (
	samples    = 16
	sampleTime = 100 * time.Millisecond
)

// meter counts, and says how fast that went lately.
type meter struct {
	mu     sync.Mutex
	sum    int64
	last   [samples]int64 // of the sample whose number it is modulo samples
	newest int64          // the number of the newest sample
}

func (m *meter) count(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(time.Now())
	m.sum += n
	m.last[m.newest%samples] += n
}

// advance empties the samples that have become too old.
func (m *meter) advance(now time.Time) {
	number := now.UnixNano() / int64(sampleTime)
	for i := max(m.newest+1, number-samples+1); i <= number; i++ {
		m.last[i%samples] = 0
	}
	m.newest = max(m.newest, number)
}

// total is all that was counted.
func (m *meter) total() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sum
}

// rate is by second.
func (m *meter) rate() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(time.Now())
	sum := int64(0)
	for _, n := range m.last {
		sum += n
	}
	return float64(sum) / (samples * sampleTime.Seconds())
}
