package tcp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"picket/consensus"
)

const (
	// maxFrame bounds a message: a batch of entries, a snapshot chunk, or the largest command.
	maxFrame = 8 << 20
	// maxHello bounds what a stranger can make us read.
	maxHello    = 2 << 10
	headerBytes = 4
	magic       = "PKT2" // the protocol and its version
)

// offence is what no correct peer sends: it is told to the operator, and ends the connection.
type offence struct{ what string }

func (o *offence) Error() string { return o.what }

func offend(format string, args ...any) error { return &offence{fmt.Sprintf(format, args...)} }

// appendFrame appends a payload with its length before it.
func appendFrame(buf, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(buf, uint32(len(payload))), payload...)
}

// readFrame reads a payload of at most limit bytes into buf, which grows as bytes arrive and not before: a
// length alone allocates nothing.
func readFrame(r *bufio.Reader, buf []byte, limit int) ([]byte, error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(header[:])
	if length > uint32(limit) {
		return nil, offend("a frame of %d bytes is larger than %d", length, limit)
	}
	const step = 64 << 10
	buf = buf[:0]
	for missing := int(length); missing > 0; missing = int(length) - len(buf) {
		n := min(step, missing)
		buf = append(buf, make([]byte, n)...)
		if _, err := io.ReadFull(r, buf[len(buf)-n:]); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// hello is what the dialling side says first.
type hello struct {
	cluster  string
	from, to consensus.ServerID
	address  string // where to reach from
}

// encode puts the length of each field, at most maxName, before it.
func (h hello) encode() []byte {
	out := []byte(magic)
	for _, field := range []string{h.cluster, string(h.from), string(h.to), h.address} {
		out = append(out, byte(len(field)))
		out = append(out, field...)
	}
	return out
}

// maxName is the longest name of a cluster or a server.
const maxName = 255

func decodeHello(data []byte) (hello, error) {
	if len(data) < len(magic) || string(data[:len(magic)]) != magic {
		return hello{}, errors.New("this is no agent that speaks " + magic + ": run the same version on all agents")
	}
	data = data[len(magic):]
	var fields [4]string
	for i := range fields {
		if len(data) == 0 || len(data) < 1+int(data[0]) {
			return hello{}, errors.New("the handshake is cut short")
		}
		end := 1 + int(data[0])
		fields[i], data = string(data[1:end]), data[end:]
	}
	if len(data) > 0 {
		return hello{}, errors.New("the handshake has bytes left over")
	}
	return hello{cluster: fields[0], from: consensus.ServerID(fields[1]), to: consensus.ServerID(fields[2]), address: fields[3]}, nil
}
