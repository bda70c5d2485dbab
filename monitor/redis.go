package monitor

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"picket/config"
	"picket/config/certs"
)

// go-redis logs failed dials by itself; whoever watches servers that die is told through errors already.
func init() { redis.SetLogger(silence{}) }

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// RedisOptions are the options with which Picket talks to a server of a master's group: credentials and TLS as configured, no
// retries, no hidden commands. Callers add time-outs. files may be nil.
func RedisOptions(m *config.Master, addr config.Addr, files *certs.Store) (*redis.Options, error) {
	opts := &redis.Options{
		Addr:                  string(addr),
		Username:              m.Username,
		Password:              string(m.Password),
		Protocol:              2,
		PoolSize:              1,
		MaxRetries:            -1,
		DialerRetries:         1,
		ContextTimeoutEnabled: true,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	var err error
	opts.TLSConfig, err = files.Client(m.TLS, addr.Host())
	return opts, err
}

// watchedConn is a connection whose end is noticed the moment the kernel knows it, not at the next command: one goroutine
// reads it all the time into a pipe, from which go-redis reads.
type watchedConn struct {
	net.Conn          // written to directly
	reader   net.Conn // what was read
}

// watch starts the reading; broken is called once, when the connection has ended, with the error that the server closed it
// with, if it said one: a server in protected mode answers nothing else.
func watch(conn net.Conn, broken func(said string)) *watchedConn {
	near, far := net.Pipe()
	go func() { // ends with the connection, which its owner closes
		buf := make([]byte, 16<<10)
		var err error
		said := ""
		for err == nil {
			var n int
			n, err = conn.Read(buf)
			if n > 0 {
				said = errorReply(buf[:n])
				if _, writeErr := far.Write(buf[:n]); err == nil {
					err = writeErr
				}
			}
		}
		broken(said)    // first: who asks would take the end for its own doing otherwise
		_ = far.Close() // go-redis reads EOF behind what came
	}()
	return &watchedConn{Conn: conn, reader: near}
}

// errorReply is the text of a reply that is an error; empty: it is none.
func errorReply(reply []byte) string {
	text, isError := strings.CutPrefix(string(reply[:min(len(reply), maxBadReply)]), "-")
	if !isError {
		return ""
	}
	line, _, _ := strings.Cut(text, "\r")
	return line
}

func (c *watchedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

func (c *watchedConn) Close() error {
	_ = c.reader.Close() // a pipe
	return c.Conn.Close()
}

func (c *watchedConn) SetDeadline(t time.Time) error {
	if err := c.reader.SetReadDeadline(t); err != nil {
		return err
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *watchedConn) SetReadDeadline(t time.Time) error { return c.reader.SetReadDeadline(t) }
