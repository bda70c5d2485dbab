package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// value is a reply as it was on the wire.
type value struct {
	kind  byte // as on the wire; '_' also for RESP2's nulls
	null  byte // what is not there, in RESP2: '$' or '*'
	text  string
	parts []value // of an array, a set, a map (names and values in turn), or a push
}

// read reads a reply.
func read(in *bufio.Reader) (value, error) { return readNested(in, 0) }

func readNested(in *bufio.Reader, depth int) (value, error) {
	line, err := in.ReadString('\n')
	switch {
	case err != nil:
		return value{}, err
	case len(line) < 3 || !strings.HasSuffix(line, "\r\n") || depth > 20:
		return value{}, fmt.Errorf("no reply: %q", line)
	}
	v := value{kind: line[0], text: line[1 : len(line)-2]}
	switch v.kind {
	case '+', '-', '_':
		return v, nil
	case ':':
		_, err := strconv.ParseInt(v.text, 10, 64)
		return v, err
	case ',':
		_, err := strconv.ParseFloat(v.text, 64)
		return v, err
	case '$', '*', '%', '>', '~', '=':
		return readLong(in, v, depth)
	}
	return value{}, fmt.Errorf("no reply: %q", line)
}

// readLong reads what its header announces.
func readLong(in *bufio.Reader, v value, depth int) (value, error) {
	length, err := strconv.Atoi(v.text)
	switch {
	case err != nil:
		return v, err
	case length < 0:
		return value{kind: '_', null: v.kind}, nil
	case v.kind == '$' || v.kind == '=':
		text := make([]byte, length+2)
		if _, err := io.ReadFull(in, text); err != nil {
			return v, errors.Join(io.ErrUnexpectedEOF, err)
		}
		return value{kind: v.kind, text: string(text[:length])}, nil
	case v.kind == '%':
		length *= 2
	}
	v.text = ""
	for range length {
		part, err := readNested(in, depth+1)
		if err != nil {
			return v, errors.Join(io.ErrUnexpectedEOF, err)
		}
		v.parts = append(v.parts, part)
	}
	return v, nil
}
