package monitor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	listenAgain  = 100 * time.Millisecond // after a connection that worked: promotions cut it
	listenLater  = 5 * time.Second        // the longest pause after those that did not
	listenHush   = 5 * time.Second        // silence after which the server is asked whether it is there
	maxListWords = 8                      // of a message; a subscription's have three
)

// listener hears who else coordinates one server. It is a second connection, on which little is said.
type listener struct {
	prober *prober
}

// run listens until ctx ends.
func (l listener) run(ctx context.Context) {
	pause := listenAgain
	for ctx.Err() == nil {
		subscribed, err := l.session(ctx)
		if subscribed {
			pause = listenAgain
		}
		if refusal := replyError(""); errors.As(err, &refusal) {
			l.prober.report(ctx, func(f *facts, _ time.Time) { f.Deaf = advise(string(refusal)) })
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, listenLater)
	}
}

// session subscribes and takes in what is said, until the connection breaks.
func (l listener) session(ctx context.Context) (subscribed bool, err error) {
	p := l.prober
	opts, err := RedisOptions(p.target.Settings, p.target.Addr, p.monitor.cfg.Certs)
	if err != nil {
		return false, err
	}
	raw, err := p.dialer(ctx, string(p.target.Addr))
	if err != nil {
		return false, err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })() // ends a read
	conn := raw
	if opts.TLSConfig != nil {
		secured := tls.Client(raw, opts.TLSConfig)
		limit, cancel := context.WithTimeout(ctx, dialLimit)
		defer cancel()
		if err := secured.HandshakeContext(limit); err != nil {
			return false, fmt.Errorf("TLS: %w", err)
		}
		conn = secured
	}
	if err := l.subscribe(conn); err != nil {
		return false, err
	}
	in := bufio.NewReaderSize(conn, 2*maxHello)
	for {
		words, err := l.next(conn, in)
		if refused := replyError(""); errors.As(err, &refused) && (NeedsNoPassword(string(refused)) || noName(string(refused))) {
			continue
		}
		if err != nil {
			return subscribed, err
		}
		switch {
		case len(words) == 3 && words[0] == "subscribe":
			subscribed = true
			p.report(ctx, func(f *facts, _ time.Time) { f.Deaf = "" })
		case len(words) == 3 && words[0] == "message" && words[1] == helloChannel:
			p.monitor.hear(p.target.Addr, words[2])
		}
	}
}

// noName says whether a server refused a connection's name, which matters to nobody but those who look at CLIENT LIST.
func noName(reply string) bool {
	lower := strings.ToLower(reply)
	return (strings.HasPrefix(lower, "err unknown command") || strings.HasPrefix(lower, "noperm")) && strings.Contains(lower, "client")
}

// subscribe logs in and asks for the channel. The answers are read with what comes after.
func (l listener) subscribe(conn net.Conn) error {
	settings := l.prober.target.Settings
	var out []byte
	if settings.Password != "" {
		login := []string{"AUTH", settings.Username, string(settings.Password)}
		if settings.Username == "" {
			login = []string{"AUTH", string(settings.Password)}
		}
		out = l.command(out, login...)
	}
	out = l.command(out, "CLIENT", "SETNAME", "picket-"+l.prober.monitor.cfg.Self+"-hello")
	return write(conn, l.command(out, "SUBSCRIBE", helloChannel))
}

// command adds one as the server knows it.
func (l listener) command(out []byte, words ...string) []byte {
	words[0] = Renamed(l.prober.target.Settings, words[0])
	return appendCommand(out, words...)
}

func write(conn net.Conn, data []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(dialLimit)); err != nil {
		return err
	}
	_, err := conn.Write(data)
	return err
}

// next waits for a reply. After a long silence the server must say that it is there.
func (l listener) next(conn net.Conn, in *bufio.Reader) ([]string, error) {
	for asked := false; ; asked = true {
		if err := conn.SetReadDeadline(time.Now().Add(listenHush)); err != nil {
			return nil, err
		}
		_, err := in.Peek(1)
		if err == nil {
			break
		}
		if asked || !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		if err := write(conn, l.command(nil, "PING")); err != nil {
			return nil, err
		}
	}
	return readReply(in)
}

func appendCommand(out []byte, words ...string) []byte {
	out = fmt.Appendf(out, "*%d\r\n", len(words))
	for _, w := range words {
		out = fmt.Appendf(out, "$%d\r\n%s\r\n", len(w), w)
	}
	return out
}

// replyError is a reply that is an error.
type replyError string

func (e replyError) Error() string { return string(e) }

var errReply = errors.New("not a reply that a subscriber gets")

// readReply reads one reply: a word, or a list of words. It holds no more than a few messages' worth, whatever the server says.
func readReply(in *bufio.Reader) ([]string, error) {
	kind, line, err := readLine(in)
	if err != nil {
		return nil, err
	}
	if kind != '*' {
		word, err := readWord(in, kind, line)
		return []string{word}, err
	}
	n, err := strconv.Atoi(line)
	if err != nil || n < 0 || n > maxListWords {
		return nil, errReply
	}
	words := make([]string, n)
	for i := range words {
		if kind, line, err = readLine(in); err != nil {
			return nil, err
		}
		if words[i], err = readWord(in, kind, line); err != nil {
			return nil, err
		}
	}
	return words, nil
}

func readLine(in *bufio.Reader) (kind byte, line string, err error) {
	text, err := in.ReadSlice('\n')
	if err != nil {
		return 0, "", err
	}
	line, whole := strings.CutSuffix(string(text), "\r\n")
	if !whole || line == "" {
		return 0, "", errReply
	}
	return line[0], line[1:], nil
}

// readWord gives the word that a line is, or announces.
func readWord(in *bufio.Reader, kind byte, line string) (string, error) {
	switch kind {
	case '+', ':':
		return line, nil
	case '-':
		return "", replyError(line[:min(len(line), maxBadReply)])
	case '$':
	default:
		return "", errReply
	}
	n, err := strconv.Atoi(line)
	if err != nil || n < -1 {
		return "", errReply
	}
	if n == -1 {
		return "", nil
	}
	// What is too long to be a hello is passed over: anybody may publish anything.
	word := make([]byte, min(n, maxHello+1))
	if _, err := io.ReadFull(in, word); err != nil {
		return "", err
	}
	if _, err := in.Discard(n - len(word) + len("\r\n")); err != nil {
		return "", err
	}
	return string(word), nil
}
