package network

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pond is a client and a server process on two hosts.
type pond struct {
	*testing.T
	net            *Network
	a, b           *Host
	client, server *Process
	listener       net.Listener
}

const door = "10.0.0.2:7000"

// onPond runs a test on virtual time.
func onPond(t *testing.T, f func(*pond)) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		p := &pond{T: t, net: n, a: n.Host("10.0.0.1"), b: n.Host("10.0.0.2")}
		p.client, p.server = p.a.Process(), p.b.Process()
		defer p.client.Kill()
		defer p.server.Kill()
		var err error
		if p.listener, err = p.server.Listen("tcp", ":7000"); err != nil {
			t.Fatal(err)
		}
		f(p)
	})
}

// dial gives what a dial ends with, and how long it took.
func (p *pond) dial(limit time.Duration) (net.Conn, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	begun := time.Now()
	conn, err := p.client.Dial(ctx, "tcp", door)
	return conn, time.Since(begun), err
}

// connect gives both ends of a connection.
func (p *pond) connect() (near, far net.Conn) {
	p.Helper()
	near, _, err := p.dial(time.Second)
	if err != nil {
		p.Fatal(err)
	}
	if far, err = p.listener.Accept(); err != nil {
		p.Fatal(err)
	}
	return near, far
}

func (p *pond) send(c net.Conn, text string) {
	p.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		p.Fatal(err)
	}
}

// expect reads a text and says how long it took.
func (p *pond) expect(c net.Conn, text string) time.Duration {
	p.Helper()
	begun, got := time.Now(), make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		p.Fatalf("read %q, %v; want %q", got, err, text)
	}
	return time.Since(begun)
}

// silent checks that nothing comes for a while.
func (p *pond) silent(c net.Conn, d time.Duration) {
	p.Helper()
	_ = c.SetReadDeadline(time.Now().Add(d))
	n, err := c.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		p.Fatalf("read %d bytes, %v; want a time-out", n, err)
	}
	_ = c.SetReadDeadline(time.Time{})
}

// ends checks with which error reads end.
func (p *pond) ends(c net.Conn, want error) {
	p.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, want) {
		p.Fatalf("read %d bytes, %v; want %v", n, err, want)
	}
}

func TestConn_CarriesBytesInOrderWithALatency(t *testing.T) {
	onPond(t, func(p *pond) {
		near, far := p.connect()
		p.send(near, "one")
		p.send(near, "two")
		if took := p.expect(far, "onetwo"); took < nearest || took > 2*farthest {
			t.Errorf("it took %v", took)
		}
		p.send(far, "three")
		p.send(far, "four")
		_ = far.Close()
		p.expect(near, "threefour")
		p.ends(near, io.EOF)
		if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("a write to who has closed ends with %v", err)
		}
		p.ends(far, net.ErrClosed)
	})
}

func TestConn_BlocksAWriterWhoIsNotRead(t *testing.T) {
	onPond(t, func(p *pond) {
		near, far := p.connect()
		_ = near.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := near.Write(make([]byte, 3*bufferBytes))
		if n != bufferBytes || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d bytes, %v", n, err)
		}
		_ = near.SetWriteDeadline(time.Time{})
		done := make(chan error, 1)
		go func() {
			_, err := near.Write(bytes.Repeat([]byte("x"), 2*bufferBytes))
			done <- err
		}()
		if n, err := io.CopyN(io.Discard, far, 3*bufferBytes); n != 3*bufferBytes || err != nil {
			t.Fatalf("read %d bytes, %v", n, err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestConn_DeadlinesEndWhatWaits(t *testing.T) {
	onPond(t, func(p *pond) {
		near, _ := p.connect()
		p.silent(near, time.Minute)
		time.AfterFunc(time.Second, func() { _ = near.SetReadDeadline(time.Unix(0, 0)) })
		p.ends(near, os.ErrDeadlineExceeded)
		time.AfterFunc(time.Second, func() { _ = near.Close() })
		_ = near.SetReadDeadline(time.Time{})
		p.ends(near, net.ErrClosed)
	})
}

func TestDial(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*pond)
		want   error
		within time.Duration
	}{
		"nobody listens":                 {func(p *pond) { _ = p.listener.Close() }, syscall.ECONNREFUSED, 2 * farthest},
		"the process was ended":          {func(p *pond) { p.server.Kill() }, syscall.ECONNREFUSED, 2 * farthest},
		"the host is down":               {func(p *pond) { p.b.Down() }, os.ErrDeadlineExceeded, time.Minute},
		"the question is lost":           {func(p *pond) { p.net.Block(p.a, p.b) }, os.ErrDeadlineExceeded, time.Minute},
		"the answer is lost":             {func(p *pond) { p.net.Block(p.b, p.a) }, os.ErrDeadlineExceeded, time.Minute},
		"a frozen process has a backlog": {func(p *pond) { p.server.Freeze() }, nil, 3 * farthest},
		"a partition ends": {func(p *pond) {
			p.net.Block(p.a, p.b)
			time.AfterFunc(time.Second, func() { p.net.Open(p.a, p.b) })
		}, nil, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			onPond(t, func(p *pond) {
				c.before(p)
				conn, took, err := p.dial(time.Minute)
				if !errors.Is(err, c.want) || (conn == nil) != (err != nil) || took > c.within {
					t.Errorf("got %v, %v after %v", conn, err, took)
				}
			})
		})
	}
}

func TestBlock_HoldsBytesBackInOneDirection(t *testing.T) {
	onPond(t, func(p *pond) {
		near, far := p.connect()
		p.net.Block(p.a, p.b)
		p.send(near, "late")
		p.send(far, "soon")
		p.expect(near, "soon")
		p.silent(far, time.Minute)
		p.net.Open(p.a, p.b)
		p.send(near, "r")
		if took := p.expect(far, "later"); took > resent+2*farthest {
			t.Errorf("it took %v", took)
		}
	})
}

func TestBlock_LetsThroughWhatHasArrived(t *testing.T) {
	onPond(t, func(p *pond) {
		near, far := p.connect()
		p.send(near, "early")
		time.Sleep(2 * farthest)
		p.net.Block(p.a, p.b)
		p.send(near, "!")
		p.expect(far, "early")
		p.silent(far, time.Second)
	})
}

func TestBlock_LeavesLoopbackAlone(t *testing.T) {
	onPond(t, func(p *pond) {
		p.net.Block(p.a, p.b)
		p.net.Block(p.b, p.a)
		conn, err := p.b.Process().Dial(context.Background(), "tcp", "127.0.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		p.send(conn, "x")
		far, err := p.listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		p.expect(far, "x")
		_ = conn.Close()
	})
}

func TestKill_ClosesWhatWasOpen(t *testing.T) {
	onPond(t, func(p *pond) {
		near, far := p.connect()
		waiting, _, err := p.dial(time.Second) // not accepted
		if err != nil {
			t.Fatal(err)
		}
		p.server.Kill()
		p.ends(near, io.EOF)
		p.ends(waiting, io.EOF)
		p.ends(far, net.ErrClosed)
		if _, err := p.listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accepting ends with %v", err)
		}
		if _, err := p.server.Listen("tcp", ":7001"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("listening ends with %v", err)
		}
	})
}

func TestKill_IsNotHeardThroughAPartition(t *testing.T) {
	onPond(t, func(p *pond) {
		near, _ := p.connect()
		p.net.Block(p.b, p.a)
		p.server.Kill()
		p.silent(near, time.Minute)
		p.net.Open(p.b, p.a)
		p.ends(near, io.EOF)
	})
}

func TestFreeze_StopsTheProcessAndNotItsKernel(t *testing.T) {
	onPond(t, func(p *pond) {
		near, far := p.connect()
		p.server.Freeze()
		p.send(near, "x")
		time.AfterFunc(time.Minute, p.server.Thaw)
		if took := p.expect(far, "x"); took != time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestDown_SaysNothing(t *testing.T) {
	onPond(t, func(p *pond) {
		near, far := p.connect()
		p.b.Down()
		p.server.Kill()
		p.ends(far, net.ErrClosed)
		p.silent(near, time.Minute)
		p.send(near, "into the void")
		p.b.Up()
		p.ends(near, syscall.ECONNRESET)
		if _, _, err := p.dial(time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens on a host that came back, but %v", err)
		}
	})
}

func TestNetwork_ForgetsWhatIsClosed(t *testing.T) {
	onPond(t, func(p *pond) {
		near, far := p.connect()
		_, _ = near.Close(), far.Close()
		down, _ := p.connect()
		p.b.Down()
		_ = down.Close()
		p.server.Kill()
		p.b.Up()
		for _, path := range p.net.paths {
			if len(path.streams) > 0 {
				t.Errorf("%d streams are left", len(path.streams))
			}
		}
		if len(p.a.conns)+len(p.b.conns)+len(p.client.conns)+len(p.server.conns) > 0 {
			t.Error("ends of connections are left")
		}
	})
}
