package session

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// Mark is the first byte of this package's commands and snapshots. The commands and snapshots of the inner machine
// begin with another one.
const Mark = 0xF5

// version is the second byte.
const version = 1

// handle is read-only after this. Structs are arrays: fields may only be added at their ends. There are no maps,
// so that equal values have equal bytes.
var handle = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.StructToArray = true
	h.RawToString = true
	h.MaxInitLen = 1 << 12
	return h
}()

// ID names a session: the index of the entry that opened it.
type ID uint64

// command is an entry of this package.
type command struct {
	Session  ID     // 0: open one
	Sequence uint64 // from 1 on
	// Floor is the lowest sequence number whose answer the client still waits for, so at most Sequence.
	Floor uint64
	Data  []byte // for the inner machine
}

// owned says whether an entry is this package's.
func owned(data []byte) bool { return len(data) > 0 && data[0] == Mark }

func (c command) encode() []byte { return encode(c) }

// encode appends a value to the mark and the version. Memory is the only thing that it can want.
func encode(v any) []byte {
	out := bytes.NewBuffer([]byte{Mark, version})
	codec.NewEncoder(out, handle).MustEncode(v)
	return out.Bytes()
}

// decodeCommand reads exactly one command that makes sense.
func decodeCommand(data []byte) (command, error) {
	var c command
	if err := decode(data, &c); err != nil {
		return command{}, fmt.Errorf("decode a session's command: %w", err)
	}
	if c.Session != 0 && (c.Floor == 0 || c.Floor > c.Sequence) {
		return command{}, fmt.Errorf("decode a session's command: number %d with floor %d", c.Sequence, c.Floor)
	}
	return c, nil
}

func decode(data []byte, v any) error {
	if len(data) < 2 || data[0] != Mark || data[1] != version {
		return fmt.Errorf("it is not of version %d: run the same version on all agents", version)
	}
	d := codec.NewDecoderBytes(data[2:], handle)
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.NumBytesRead() != len(data)-2 {
		return errors.New("bytes are left over")
	}
	return nil
}
