package network

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferBytes is how much is on its way or unread in one direction before a writer must wait.
const bufferBytes = 128 << 10

// jitter is the most that a segment takes longer than the path's delay, as a share of it.
const jitter = 4

// stream is one direction of a connection: what was sent and is not read yet.
type stream struct {
	delay time.Duration

	mu        sync.Mutex
	random    *rand.PCG
	segments  []segment
	size      int       // bytes in segments
	last      time.Time // when the newest segment arrives: none overtakes another
	blockedAt time.Time // what did not arrive before then does not; zero: the path is open
	abandoned bool      // nobody reads any more
	muted     bool      // nobody writes any more, and the reader can't know
	finished  bool      // the writer has closed it
	readers   waiters
	writers   waiters
}

// segment is a part of what was sent: bytes, or the end.
type segment struct {
	at   time.Time // of arrival
	data []byte
	end  error // io.EOF, or a reset; nil: it is bytes
}

// waiters are those who wait for one end of a stream. They are guarded by its mu.
type waiters struct {
	stream   *stream
	changed  sync.Cond
	deadline time.Time
	timer    *time.Timer // nil: none yet
}

func newStream(seed uint64, p *path) *stream {
	s := &stream{delay: p.delay, random: rand.NewPCG(seed, 0)}
	if p.blocked {
		s.blockedAt = time.Now()
	}
	for _, w := range []*waiters{&s.readers, &s.writers} {
		w.stream, w.changed.L = s, &s.mu
	}
	return s
}

// until sets a deadline; who waits looks again.
func (w *waiters) until(t time.Time) {
	w.stream.mu.Lock()
	defer w.stream.mu.Unlock()
	w.deadline = t
	w.changed.Broadcast()
}

func (w *waiters) late(now time.Time) bool { return !w.deadline.IsZero() && !now.Before(w.deadline) }

// wait returns when something has changed, at the time or at the deadline; zero: there is no such time.
func (w *waiters) wait(now, at time.Time) {
	if at.IsZero() || !w.deadline.IsZero() && w.deadline.Before(at) {
		at = w.deadline
	}
	switch {
	case at.IsZero():
	case w.timer == nil:
		w.timer = time.AfterFunc(at.Sub(now), w.wake)
	default:
		w.timer.Reset(at.Sub(now))
	}
	w.changed.Wait()
}

func (w *waiters) wake() {
	w.stream.mu.Lock()
	defer w.stream.mu.Unlock()
	w.changed.Broadcast()
}

func (s *stream) read(p *Process, b []byte) (int, error) {
	for {
		p.Wait()
		n, err, done := s.tryRead(p, b)
		if done {
			return n, err
		}
	}
}

// tryRead reads what is there, or waits until something may be.
func (s *stream) tryRead(p *Process, b []byte) (n int, err error, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch head := s.head(); {
	case s.abandoned:
		return 0, net.ErrClosed, true
	case s.readers.late(now):
		return 0, os.ErrDeadlineExceeded, true
	case len(b) == 0:
		return 0, nil, true
	case !s.arrived(head, now):
		var at time.Time
		if head != nil && s.blockedAt.IsZero() {
			at = head.at
		}
		s.readers.wait(now, at)
		return 0, nil, false
	case head.end != nil:
		return 0, head.end, true
	}
	for n < len(b) && s.arrived(s.head(), now) && s.head().end == nil {
		head := s.head()
		part := copy(b[n:], head.data)
		n += part
		if head.data = head.data[part:]; len(head.data) == 0 {
			s.segments[0] = segment{}
			s.segments = s.segments[1:]
		}
	}
	s.size -= n
	s.writers.changed.Broadcast()
	return n, nil, true
}

func (s *stream) head() *segment {
	if len(s.segments) == 0 {
		return nil
	}
	return &s.segments[0]
}

func (s *stream) arrived(g *segment, now time.Time) bool {
	return g != nil && !g.at.After(now) && (s.blockedAt.IsZero() || !g.at.After(s.blockedAt))
}

// write sends b. back is the other direction, which tells that the peer has closed.
func (s *stream) write(p *Process, back *stream, b []byte) (n int, err error) {
	for {
		p.Wait()
		if back.ended() {
			return n, syscall.EPIPE
		}
		part, err, done := s.tryWrite(b[n:])
		n += part
		if done {
			return n, err
		}
	}
}

// ended says whether the end has arrived.
func (s *stream) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.abandoned || len(s.segments) == 0 {
		return false
	}
	newest := &s.segments[len(s.segments)-1]
	return newest.end != nil && s.arrived(newest, time.Now())
}

// tryWrite sends what there is room for, or waits until there is some.
func (s *stream) tryWrite(b []byte) (n int, err error, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.finished:
		return 0, net.ErrClosed, true
	case s.muted, s.abandoned: // into the void
		return len(b), nil, true
	case s.writers.late(now):
		return 0, os.ErrDeadlineExceeded, true
	case s.size >= bufferBytes:
		s.writers.wait(now, time.Time{})
		return 0, nil, false
	}
	n = min(len(b), bufferBytes-s.size)
	if n > 0 {
		s.send(now, segment{data: append([]byte(nil), b[:n]...)})
		s.size += n
	}
	return n, nil, n == len(b)
}

// send puts a segment on its way. It is called with mu held.
func (s *stream) send(now time.Time, g segment) {
	g.at = now.Add(s.delay + time.Duration(s.random.Uint64()%uint64(s.delay/jitter)))
	if g.at.Before(s.last) {
		g.at = s.last
	}
	s.last = g.at
	s.segments = append(s.segments, g)
	s.readers.changed.Broadcast()
}

// finish sends the end.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.finished && !s.muted {
		s.finished = true
		s.send(time.Now(), segment{end: io.EOF})
		s.writers.changed.Broadcast()
	}
}

// reset sends, in place of what is on its way, that the connection does not exist.
func (s *stream) reset(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments[:0:0], segment{at: at, end: syscall.ECONNRESET})
	s.size, s.finished, s.last = 0, true, at
	s.readers.changed.Broadcast()
}

// mute has nothing arrive any more; the reader is told nothing.
func (s *stream) mute() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.muted = true
	s.writers.changed.Broadcast()
}

// abandon: nobody reads what arrives.
func (s *stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned, s.segments, s.size = true, nil, 0
	s.readers.changed.Broadcast()
	s.writers.changed.Broadcast()
}

// block holds up what has not arrived, or lets it arrive after a while.
func (s *stream) block(blocked bool, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if blocked {
		s.blockedAt = now
		return
	}
	for i := range s.segments {
		if g := &s.segments[i]; g.at.After(s.blockedAt) && g.at.Before(now.Add(after)) {
			g.at = now.Add(after)
			s.last = g.at
		}
	}
	s.blockedAt = time.Time{}
	s.readers.changed.Broadcast()
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }
