package model

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// Limits of what a client may send, as in Redis but for maxBulk.
const (
	maxInline = 64 << 10
	maxArgs   = 1 << 20
	maxBulk   = 64 << 20
)

// What is wrong about a request, as Redis says it behind "Protocol error: ".
var (
	errInline     = errors.New("too big inline request")
	errCountLine  = errors.New("too big mbulk count string")
	errCount      = errors.New("invalid multibulk length")
	errBulkLine   = errors.New("too big bulk count string")
	errBulkLength = errors.New("invalid bulk length")
	errQuotes     = errors.New("unbalanced quotes in request")
)

// parse takes the first whole request from buf: its words, which may be none, and its length. A length of 0 means that more must
// come.
func parse(buf []byte) (args []string, length int, err error) {
	if len(buf) == 0 {
		return nil, 0, nil
	}
	if buf[0] != '*' {
		return parseInline(buf)
	}
	count, at, err := parseCount(buf, 0, errCountLine, errCount)
	if err != nil || at == 0 {
		return nil, 0, err
	}
	if count > maxArgs {
		return nil, 0, errCount
	}
	if count <= 0 {
		return nil, at, nil
	}
	// The whole request becomes one string, the words are parts of it: first their places, then one copy.
	var few [8][2]int
	places := few[:0]
	for range count {
		if at >= len(buf) {
			return nil, 0, nil
		}
		if buf[at] != '$' {
			return nil, 0, errors.New("expected '$', got '" + string(rune(buf[at])) + "'")
		}
		size, start, err := parseCount(buf, at, errBulkLine, errBulkLength)
		if err != nil || start == 0 {
			return nil, 0, err
		}
		if size < 0 || size > maxBulk {
			return nil, 0, errBulkLength
		}
		if at = start + int(size) + 2; at > len(buf) {
			return nil, 0, nil
		}
		places = append(places, [2]int{start, start + int(size)})
	}
	text := string(buf[:at])
	args = make([]string, len(places))
	for i, p := range places {
		args[i] = text[p[0]:p[1]]
	}
	return args, at, nil
}

// parseCount reads the number in a line such as "*3", and where the next line begins; 0: the line is not whole.
func parseCount(buf []byte, at int, tooLong, bad error) (n int64, next int, err error) {
	end := bytes.IndexByte(buf[at:], '\r')
	if end < 0 {
		if len(buf)-at > maxInline {
			err = tooLong
		}
		return 0, 0, err
	}
	end += at
	if end+2 > len(buf) {
		return 0, 0, nil
	}
	n, err = strconv.ParseInt(string(buf[at+1:end]), 10, 64)
	if err != nil {
		return 0, 0, bad
	}
	return n, end + 2, nil
}

// parseInline reads a line as a person types it.
func parseInline(buf []byte) ([]string, int, error) {
	end := bytes.IndexByte(buf, '\n')
	if end < 0 {
		if len(buf) > maxInline {
			return nil, 0, errInline
		}
		return nil, 0, nil
	}
	args, ok := splitLine(strings.TrimSuffix(string(buf[:end]), "\r"))
	if !ok {
		return nil, 0, errQuotes
	}
	return args, end + 1, nil
}

// splitLine splits at spaces, but for those in quotes. ok is false when a quote is not closed, or goes on behind.
func splitLine(line string) (args []string, ok bool) {
	const spaces = " \t\n\v\f\r\x00"
	for {
		line = strings.TrimLeft(line, spaces)
		if line == "" {
			return args, true
		}
		var word strings.Builder
		for line != "" && !strings.ContainsRune(spaces, rune(line[0])) {
			if line[0] != '"' && line[0] != '\'' {
				word.WriteByte(line[0])
				line = line[1:]
				continue
			}
			text, rest, closed := unquote(line)
			if !closed || rest != "" && !strings.ContainsRune(spaces, rune(rest[0])) {
				return nil, false
			}
			word.WriteString(text)
			line = rest
		}
		args = append(args, word.String())
	}
}

// unquote reads the quoted text at the beginning of line.
func unquote(line string) (text, rest string, closed bool) {
	quote := line[0]
	var out strings.Builder
	for i := 1; i < len(line); i++ {
		c := line[i]
		switch {
		case c == quote:
			return out.String(), line[i+1:], true
		case c == '\\' && i+1 < len(line) && (quote == '"' || line[i+1] == '\''):
			i++
			if quote == '"' && line[i] == 'x' && i+2 < len(line) {
				if b, err := strconv.ParseUint(line[i+1:i+3], 16, 8); err == nil {
					out.WriteByte(byte(b))
					i += 2
					continue
				}
			}
			out.WriteByte(unescape(line[i], quote))
		default:
			out.WriteByte(c)
		}
	}
	return "", "", false
}

func unescape(c, quote byte) byte {
	if quote == '"' {
		if i := strings.IndexByte("nrtba", c); i >= 0 {
			return "\n\r\t\b\a"[i]
		}
	}
	return c
}

// appendCommand encodes a command as Redis sends it to replicas.
func appendCommand(out []byte, args ...string) []byte {
	out = appendHeader(out, '*', int64(len(args)))
	for _, a := range args {
		out = appendBulk(out, a)
	}
	return out
}

func appendHeader(out []byte, kind byte, n int64) []byte {
	out = append(out, kind)
	out = strconv.AppendInt(out, n, 10)
	return append(out, '\r', '\n')
}

func appendBulk(out []byte, s string) []byte {
	out = appendHeader(out, '$', int64(len(s)))
	out = append(out, s...)
	return append(out, '\r', '\n')
}
