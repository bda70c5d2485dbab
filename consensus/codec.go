package consensus

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// wireVersion is the first byte of every message.
const wireVersion = 1

// handle is read-only after this. Structs are arrays, so fields may only be added at their ends.
var handle = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.RawToString = true
	h.Canonical = true
	h.MaxInitLen = 1 << 16
	h.StructToArray = true
	return h
}()

// bodies lists the kinds of messages: a kind's place in the list is its number on the wire.
var bodies = []func() Body{
	func() Body { return new(VoteRequest) },
	func() Body { return new(VoteResponse) },
	func() Body { return new(AppendRequest) },
	func() Body { return new(AppendResponse) },
	func() Body { return new(SnapshotChunk) },
	func() Body { return new(SnapshotResponse) },
	func() Body { return new(ReadIndexRequest) },
	func() Body { return new(ReadIndexResponse) },
	func() Body { return new(ForwardRequest) },
	func() Body { return new(ForwardResponse) },
	func() Body { return new(Gossip) },
	func() Body { return new(TimeoutNow) },
}

var kinds = func() map[reflect.Type]byte {
	m := map[reflect.Type]byte{}
	for i, make := range bodies {
		m[reflect.TypeOf(make())] = byte(i)
	}
	return m
}()

// envelope is what stands before the body.
type envelope struct {
	From, To    ServerID
	Term        Term
	Incarnation uint64
}

// encoder and its buffer, and decoders, are used again: most messages are small, and making one costs more than using it.
type encoder struct {
	*codec.Encoder
	scratch []byte
}

var (
	encoders = sync.Pool{New: func() any {
		e := &encoder{}
		e.Encoder = codec.NewEncoderBytes(&e.scratch, handle)
		return e
	}}
	decoders = sync.Pool{New: func() any { return codec.NewDecoderBytes(nil, handle) }}
)

// maxScratch is what an encoder keeps: one large message must not hold memory for ever.
const maxScratch = 1 << 20

// EncodeMessage appends a message to buf: version, kind, envelope, body.
func EncodeMessage(buf []byte, m *Message) ([]byte, error) {
	kind, ok := kinds[reflect.TypeOf(m.Body)]
	if !ok {
		return nil, fmt.Errorf("encode a message: %T is not a body", m.Body)
	}
	e := encoders.Get().(*encoder)
	e.scratch = e.scratch[:0]
	e.ResetBytes(&e.scratch)
	head := envelope{From: m.From, To: m.To, Term: m.Term, Incarnation: m.Incarnation}
	if err := errors.Join(e.Encode(&head), e.Encode(m.Body)); err != nil {
		return nil, fmt.Errorf("encode a message: %w", err)
	}
	buf = append(append(buf, wireVersion, kind), e.scratch...)
	if cap(e.scratch) <= maxScratch {
		encoders.Put(e)
	}
	return buf, nil
}

// DecodeMessage reads exactly one message. It allocates no more than a small multiple of len(data).
func DecodeMessage(data []byte) (Message, error) {
	if len(data) < 2 {
		return Message{}, errors.New("decode a message: it is cut short")
	}
	if data[0] != wireVersion {
		return Message{}, fmt.Errorf("decode a message: version %d, this program speaks %d: run the same version on all agents",
			data[0], wireVersion)
	}
	if int(data[1]) >= len(bodies) {
		return Message{}, fmt.Errorf("decode a message: kind %d is not known", data[1])
	}
	d := decoders.Get().(*codec.Decoder)
	defer decoders.Put(d)
	d.ResetBytes(data[2:])
	defer d.ResetBytes(nil)
	var e envelope
	if err := d.Decode(&e); err != nil {
		return Message{}, fmt.Errorf("decode a message: %w", err)
	}
	body := bodies[data[1]]()
	if err := d.Decode(body); err != nil {
		return Message{}, fmt.Errorf("decode a message: %w", err)
	}
	if d.NumBytesRead() != len(data)-2 {
		return Message{}, errors.New("decode a message: bytes are left over")
	}
	return Message{From: e.From, To: e.To, Term: e.Term, Incarnation: e.Incarnation, Body: body}, nil
}

// EncodeConfiguration is the Data of an EntryConfiguration.
func EncodeConfiguration(c Configuration) []byte {
	var out []byte
	codec.NewEncoderBytes(&out, handle).MustEncode(c)
	return out
}

// DecodeConfiguration reads the Data of an EntryConfiguration.
func DecodeConfiguration(data []byte) (Configuration, error) {
	var c Configuration
	if err := codec.NewDecoderBytes(data, handle).Decode(&c); err != nil {
		return Configuration{}, fmt.Errorf("decode a configuration: %w", err)
	}
	if why := c.unusable(); why != "" {
		return Configuration{}, fmt.Errorf("decode a configuration: %s", why)
	}
	return c, nil
}

// mustDecodeConfiguration reads what stands in the log; if that is broken, so is the log.
func mustDecodeConfiguration(data []byte) Configuration {
	c, err := DecodeConfiguration(data)
	if err != nil {
		panic(fmt.Sprintf("consensus: a configuration in the log makes no sense: %v", err))
	}
	return c
}
