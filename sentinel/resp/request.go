package resp

import (
	"bufio"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

// protocolError ends a connection. Its text is Redis's.
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

// maxLine bounds an inline command, and the header of any other.
const maxLine = 4 << 10

// limits bound one command, before anything is allocated for it.
type limits struct {
	args              int
	bytes             int // of all arguments together
	tooMany, tooLarge protocolError
}

var (
	memberLimits = limits{1024, 64 << 10, "invalid multibulk length", "invalid bulk length"}
	guestLimits  = limits{10, 4 << 10, "unauthenticated multibulk length", "unauthenticated bulk length"}
)

// requests reads commands from a client.
type requests struct{ in *bufio.Reader }

func newRequests(in io.Reader) requests { return requests{bufio.NewReaderSize(in, maxLine)} }

// next reads a command. An empty one is no command, and to be ignored.
func (r requests) next(l limits) ([]string, error) {
	first, err := r.in.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] != '*' {
		line, err := r.line("too big inline request")
		if err != nil {
			return nil, err
		}
		return splitInline(line)
	}
	header, err := r.header("too big mbulk count string")
	if err != nil {
		return nil, err
	}
	count, ok := integer(header[1:])
	switch {
	case !ok || count > math.MaxInt32:
		return nil, protocolError("invalid multibulk length")
	case count > int64(l.args):
		return nil, l.tooMany
	}
	var args []string
	for range count {
		arg, err := r.bulk(l)
		if err != nil {
			return nil, err
		}
		l.bytes -= len(arg)
		args = append(args, arg)
	}
	return args, nil
}

func (r requests) bulk(l limits) (string, error) {
	header, err := r.header("too big bulk count string")
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(header, "$") {
		return "", protocolError("expected '$', got '" + (header + " ")[:1] + "'")
	}
	size, ok := integer(header[1:])
	switch {
	case !ok || size < 0:
		return "", protocolError("invalid bulk length")
	case size > int64(l.bytes):
		return "", l.tooLarge
	}
	text := make([]byte, size+int64(len("\r\n")))
	if _, err := io.ReadFull(r.in, text); err != nil {
		return "", err
	}
	return string(text[:size]), nil
}

// line reads a line that somebody typed, without its end.
func (r requests) line(tooLong protocolError) (string, error) {
	line, err := r.until('\n', tooLong)
	return strings.TrimSuffix(line, "\r"), err
}

// header reads a line that a program wrote. It ends with a carriage return, and what follows that belongs to it, whatever it is.
func (r requests) header(tooLong protocolError) (string, error) {
	line, err := r.until('\r', tooLong)
	if err == nil {
		_, err = r.in.Discard(1)
	}
	return line, err
}

// until reads what stands before a byte, and that.
func (r requests) until(end byte, tooLong protocolError) (string, error) {
	line, err := r.in.ReadSlice(end)
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", tooLong
	}
	if err != nil {
		return "", err
	}
	return string(line[:len(line)-1]), nil
}

// splitInline splits a command that somebody typed: words with spaces between them, some in quotes.
func splitInline(line string) ([]string, error) {
	var args []string
	for {
		line = strings.TrimLeft(line, " \t\v\f\r\n\x00")
		if line == "" {
			return args, nil
		}
		var arg string
		var ok bool
		if arg, line, ok = word(line); !ok {
			return nil, protocolError("unbalanced quotes in request")
		}
		args = append(args, arg)
	}
}

// word takes the first word of a line. Quotes may begin inside a word, but a word ends with them.
func word(line string) (arg, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case isSpace(c):
			return b.String(), line[i:], true
		case c == '"' || c == '\'':
			rest, ok := quoted(&b, line[i+1:], c)
			return b.String(), rest, ok && (rest == "" || isSpace(rest[0]))
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", true
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' || c == 0 }

// quoted takes what stands before the closing quote. Single quotes know no escape but of themselves.
func quoted(b *strings.Builder, line string, quote byte) (rest string, ok bool) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == quote:
			return line[i+1:], true
		case c == '\\' && i+1 < len(line) && (quote == '"' || line[i+1] == '\''):
			i += unescape(b, line[i+1:], quote)
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// unescape writes the character that follows a backslash and says how long its name is.
func unescape(b *strings.Builder, s string, quote byte) int {
	if quote == '"' && s[0] == 'x' && len(s) >= 3 {
		if code, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
			b.WriteByte(byte(code))
			return 3
		}
	}
	if i := strings.IndexByte("nrtba", s[0]); i >= 0 && quote == '"' {
		b.WriteByte("\n\r\t\b\a"[i])
	} else {
		b.WriteByte(s[0])
	}
	return 1
}
