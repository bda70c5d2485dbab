package salvage

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/monitor"
)

// ErrRefused is what a server says that does not give the stretch that it is asked for.
var ErrRefused = errors.New("the server does not give it")

// maxReply is the longest answer that a server gives in a line.
const maxReply = 4 << 10

// Dial makes a connection.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// source is a connection on which a server's history comes. Nothing is ever sent on it behind PSYNC: no offset is acknowledged.
type source struct {
	conn   net.Conn
	named  func(string) string // commands, as the server knows them
	in     *bufio.Reader
	cancel func() bool // of the context's hold on the connection
}

// connect makes a source that ends with the context.
func connect(ctx context.Context, settings *config.Master, opts *redis.Options, dial Dial) (*source, error) {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &source{conn: conn, cancel: context.AfterFunc(ctx, func() { _ = conn.Close() })} // whoever reads learns it
	s.named = func(command string) string { return monitor.Renamed(settings, command) }
	if opts.TLSConfig != nil {
		secure := tls.Client(conn, opts.TLSConfig)
		if err := secure.HandshakeContext(ctx); err != nil {
			s.close()
			return nil, fmt.Errorf("connect by TLS: %w", err)
		}
		s.conn = secure
	}
	s.in = bufio.NewReaderSize(s.conn, maxReply)
	if err := s.authenticate(opts); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *source) close() {
	s.cancel()
	_ = s.conn.Close() // all that was wanted has been read, or never will be
}

func (s *source) authenticate(opts *redis.Options) error {
	if opts.Password == "" {
		return nil
	}
	words := []string{"AUTH", opts.Username, opts.Password}
	if opts.Username == "" {
		words = []string{"AUTH", opts.Password}
	}
	reply, err := s.ask(words...)
	if err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	if reply != "+OK" && !monitor.NeedsNoPassword(reply) {
		return fmt.Errorf("authenticate: %w: %s", ErrRefused, reply)
	}
	return nil
}

// history asks for what a replica lacks that has all before an offset: the stream from there on is what comes in next.
func (s *source) history(replID string, from int64) error {
	reply, err := s.ask("PSYNC", replID, strconv.FormatInt(from, 10))
	if err != nil {
		return fmt.Errorf("ask for the history: %w", err)
	}
	if word, _, _ := strings.Cut(reply, " "); word != "+CONTINUE" {
		return fmt.Errorf("%w: PSYNC says %q", ErrRefused, reply)
	}
	return nil
}

// ask sends a command and gives the line that answers it.
func (s *source) ask(words ...string) (string, error) {
	words[0] = s.named(words[0])
	command := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		command = fmt.Appendf(command, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := s.conn.Write(command); err != nil {
		return "", err
	}
	for {
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if text := strings.TrimRight(string(line), "\r\n"); text != "" { // empty: a sign of life
			return text, nil
		}
	}
}
