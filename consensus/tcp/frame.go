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
	maxHello = 1 << 10
	magic    = "PKT1" // the protocol and its version
)

// writeFrame writes a length and the payload.
func writeFrame(w io.Writer, payload []byte) error {
	var header [4]byte
	binary.BigEndian.PutUint32(header[:], uint32(len(payload)))
	if _, err := w.Write(header[:]); err != nil {
		return err
	}
	_, err := w.Write(payload)
	return err
}

// readFrame reads a payload of at most limit bytes into buf, which grows as bytes arrive and not before: a length alone
// allocates nothing.
func readFrame(r *bufio.Reader, buf []byte, limit int) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint32(header[:]))
	if length > limit {
		return nil, fmt.Errorf("a frame of %d bytes is larger than %d", length, limit)
	}
	const step = 64 << 10
	buf = buf[:0]
	for len(buf) < length {
		n := min(step, length-len(buf))
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
}

func (h hello) encode() []byte {
	out := []byte(magic)
	for _, field := range []string{h.cluster, string(h.from), string(h.to)} {
		out = append(out, byte(len(field)))
		out = append(out, field...)
	}
	return out
}

func decodeHello(data []byte) (hello, error) {
	if len(data) < len(magic) || string(data[:len(magic)]) != magic {
		return hello{}, errors.New("this is not a Picket agent of the same protocol version")
	}
	data = data[len(magic):]
	var fields [3]string
	for i := range fields {
		if len(data) == 0 || len(data) < 1+int(data[0]) {
			return hello{}, errors.New("the handshake is cut short")
		}
		fields[i], data = string(data[1:1+data[0]]), data[1+data[0]:]
	}
	if len(data) > 0 {
		return hello{}, errors.New("the handshake has bytes left over")
	}
	return hello{cluster: fields[0], from: consensus.ServerID(fields[1]), to: consensus.ServerID(fields[2])}, nil
}

// welcome is the answer to a hello: empty, or why not.
func checkHello(h hello, cluster string, self consensus.ServerID, known bool) string {
	switch {
	case h.cluster != cluster:
		return fmt.Sprintf("this agent belongs to cluster %q, not %q", cluster, h.cluster)
	case h.to != self:
		return fmt.Sprintf("this agent is %q, not %q: check the addresses in the list of agents", self, h.to)
	case !known:
		return fmt.Sprintf("agent %q is not in this agent's list of agents", h.from)
	}
	return ""
}
